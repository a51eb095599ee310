//! Uploads of files through a proxy.

use super::{Act, Change, Describe, Facts, Reference, Topic, Topics, number, plain};
use crate::event::{AssetFilesSent, AssetUploadCompleted, AssetUploadOpened};
use crate::id::StreamId;

impl Describe for AssetUploadOpened {
    fn text(&self, topic: &Topic) -> String {
        let files = number(usize::try_from(self.files).unwrap_or(usize::MAX), "file");
        let of = match (&topic.agent, topic.detailed) {
            (Some(agent), true) => format!(" by agent {}", plain(agent)),
            _ => String::new(),
        };
        let whole = match self.is_complete {
            true => ", all of which upstream has",
            false => "",
        };
        let script = plain(&self.script);
        format!("upload of {files} for script {script} opened{of}{whole}")
    }

    fn facts(&self, _: &Topic) -> Facts {
        Facts::of(1, Act::own(Change::Created, "asset_upload"))
    }

    fn rests_on(&self) -> Vec<Reference> {
        vec![Reference::Stream(self.agent_id.into())]
    }

    fn teach(&self, stream: StreamId, topics: &mut dyn Topics) {
        let known = topics.of(self.agent_id.into());
        let topic = Topic {
            agent: known.agent,
            ..Topic::default()
        };
        topics.put(stream, topic);
    }
}

impl Describe for AssetFilesSent {
    fn text(&self, _: &Topic) -> String {
        let files = number(self.files.len(), "file");
        format!("{files} sent on that upstream did not have")
    }

    fn facts(&self, _: &Topic) -> Facts {
        Facts::updated(1, "asset_upload").detail("files sent")
    }
}

impl Describe for AssetUploadCompleted {
    fn text(&self, _: &Topic) -> String {
        "upload complete".to_owned()
    }

    fn facts(&self, _: &Topic) -> Facts {
        Facts::updated(1, "asset_upload").detail("complete")
    }
}
