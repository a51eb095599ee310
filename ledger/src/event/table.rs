//! The macro that makes everything of the table of events, and how a payload is read.

use super::Envelope;
use crate::id::StreamId;
use serde::Serialize;

/// The stored form could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// This binary does not know the form: it is older than the ledger.
    #[error("event type {event_type} schema {schema_version} is not known to this version")]
    UnknownForm {
        /// The header's event type.
        event_type: u16,
        /// The header's schema version.
        schema_version: u16,
    },
    /// The bytes are not of that form.
    #[error("the payload of {name} cannot be read")]
    Payload {
        /// The event's name.
        name: &'static str,
        /// What postcard says.
        #[source]
        source: postcard::Error,
    },
    /// The payload goes on after its end.
    #[error("the payload of {name} has {extra} bytes too many")]
    Trailing {
        /// The event's name.
        name: &'static str,
        /// How many.
        extra: usize,
    },
}

macro_rules! events {
    ($(#[$meta:meta])* $visibility:vis enum $enum:ident; $(
        $number:literal, $schema:literal, $name:literal => $variant:ident($form:ident)
        $({ $($old:literal => $old_form:ident),+ })?
        in $aggregate:ident by $causes:ident under $rule:ident $(told as $($told:ident),+)?
        $([$($trait:ident),+])?
        $(of $task:ident $(, $agent:ident)?)?
        $(within $($maybe:ident).+)?;
    )+) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(untagged)]
        $visibility enum $enum {
            $(#[doc = concat!("`", $name, "`")] $variant($form),)+
            /// Any event whose payload was erased. Never written: what it was written as is gone.
            Erased(ErasedPayload),
        }

        impl $enum {
            /// Every form that was ever written: (event type, schema version, name).
            $visibility const FORMS: &'static [(u16, u16, &'static str)] = &[$(
                $($(($number, $old, $name),)+)?
                ($number, $schema, $name),
            )+];

            /// The row of an event type; `None` for one of a later version.
            #[must_use]
            $visibility const fn kind_of(event_type: u16) -> Option<&'static EventKind> {
                match event_type {
                    $($number => {
                        const KIND: EventKind = EventKind {
                            number: $number,
                            name: $name,
                            aggregate: AggregateKind::$aggregate,
                            causes: by::$causes,
                            rule: Check::$rule,
                            told: &[$($(CallbackEvent::$told),+)?],
                            traits: Traits { $($($trait: true,)+)? ..Traits::NONE },
                        };
                        Some(&KIND)
                    })+
                    _ => None,
                }
            }

            /// The number in the header.
            #[must_use]
            $visibility const fn event_type(&self) -> u16 {
                match self {
                    $(Self::$variant(_) => $number,)+
                    Self::Erased(erased) => erased.event_type,
                }
            }

            /// The version of the payload's form.
            #[must_use]
            $visibility const fn schema_version(&self) -> u16 {
                match self {
                    $(Self::$variant(_) => $schema,)+
                    Self::Erased(erased) => erased.schema_version,
                }
            }

            /// The task that it says it belongs to, if it is of one. Later events of a stream do not say it again.
            #[must_use]
            $visibility const fn task_id(&self) -> Option<TaskId> {
                match self {
                    $($(Self::$variant(form) => Some(form.$task),)?)+
                    $($(Self::$variant(form) => form.$($maybe).+,)?)+
                    _ => None,
                }
            }

            /// The agent of that task, where it names one too.
            #[must_use]
            $visibility fn agent(&self) -> Option<&str> {
                match self {
                    $($($(Self::$variant(form) => Some(&form.$agent),)?)?)+
                    _ => None,
                }
            }

            /// Its form, as people are told of it.
            #[must_use]
            $visibility fn described(&self) -> &dyn Describe {
                match self {
                    $(Self::$variant(form) => form,)+
                    Self::Erased(erased) => erased,
                }
            }

            /// The payload: envelope, then the form.
            ///
            /// # Errors
            /// For an erased event, which has none any more.
            $visibility fn encode(&self, envelope: &Envelope) -> Result<Vec<u8>, postcard::Error> {
                let start = postcard::to_stdvec(envelope)?;
                match self {
                    $(Self::$variant(form) => postcard::to_extend(form, start),)+
                    Self::Erased(_) => Err(postcard::Error::WontImplement),
                }
            }

            /// Reads a payload of the given form; an older form becomes the newest of its type.
            $visibility fn decode(
                event_type: u16,
                schema_version: u16,
                payload: &[u8],
            ) -> Result<(Envelope, Self), DecodeError> {
                match (event_type, schema_version) {
                    $(
                        $($(($number, $old) => {
                            let (envelope, form) = decode_form::<$old_form>($name, payload)?;
                            Ok((envelope, Self::$variant(form.into())))
                        })+)?
                        ($number, $schema) => {
                            let (envelope, form) = decode_form::<$form>($name, payload)?;
                            Ok((envelope, Self::$variant(form)))
                        }
                    )+
                    _ => Err(DecodeError::UnknownForm { event_type, schema_version }),
                }
            }

            /// A payload as JSON, in the form in which it was stored.
            $visibility fn readable(
                event_type: u16,
                schema_version: u16,
                payload: &[u8],
            ) -> Option<(serde_json::Value, serde_json::Value)> {
                match (event_type, schema_version) {
                    $(
                        $($(($number, $old) => readable_form::<$old_form>($name, payload),)+)?
                        ($number, $schema) => readable_form::<$form>($name, payload),
                    )+
                    _ => None,
                }
            }

            /// Reads the readable JSON of a form, as golden data holds it.
            $visibility fn from_json(
                event_type: u16,
                schema_version: u16,
                json: serde_json::Value,
            ) -> Option<Result<Self, serde_json::Error>> {
                match (event_type, schema_version) {
                    $(
                        $($(($number, $old) => Some(
                            serde_json::from_value::<$old_form>(json)
                                .map(|form| Self::$variant(form.into())),
                        ),)+)?
                        ($number, $schema) => Some(serde_json::from_value(json).map(Self::$variant)),
                    )+
                    _ => None,
                }
            }
        }

        $(impl From<$form> for $enum {
            fn from(form: $form) -> Self {
                Self::$variant(form)
            }
        }

        impl InStream<$enum> for $form {
            type Id = stream::$aggregate;
        })+
    };
}

/// A form with the id of the only streams in which it stands.
pub trait InStream<E>: Into<E> {
    /// The id of its aggregate.
    type Id: Into<StreamId>;
}

/// Envelope and form of a payload, which must end there.
pub(super) fn decode_form<F: serde::de::DeserializeOwned>(
    name: &'static str,
    payload: &[u8],
) -> Result<(Envelope, F), DecodeError> {
    let fail = |source| DecodeError::Payload { name, source };
    let (envelope, rest) = postcard::take_from_bytes(payload).map_err(fail)?;
    let (form, rest) = postcard::take_from_bytes::<F>(rest).map_err(fail)?;
    if rest.is_empty() {
        Ok((envelope, form))
    } else {
        let extra = rest.len();
        Err(DecodeError::Trailing { name, extra })
    }
}

pub(super) fn readable_form<F: serde::de::DeserializeOwned + Serialize>(
    name: &'static str,
    payload: &[u8],
) -> Option<(serde_json::Value, serde_json::Value)> {
    let (envelope, form) = decode_form::<F>(name, payload).ok()?;
    Some((
        serde_json::to_value(envelope).ok()?,
        serde_json::to_value(form).ok()?,
    ))
}
