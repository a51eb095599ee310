//! Pages as axe-core judges them: rules of WCAG 2.2 A and AA, and its best practices.

use crate::browser::Browser;
use crate::layout::look_at_each;
use std::path::Path;

const INSTALL: &str = "the browser tests need axe-core: npm ci --prefix tests/browser";

/// Looks at the page that is open in every window and scheme, and fails where axe finds something.
pub(crate) async fn look_closely(browser: &Browser, name: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/browser/node_modules/axe-core/axe.min.js");
    let axe = match std::fs::read_to_string(&file) {
        Ok(axe) => axe,
        Err(why) => panic!("{}: {why}; {INSTALL}", file.display()),
    };
    let judge = format!(
        "{axe}; return axe.run(document, {{ resultTypes: ['violations'] }}).then(({{ violations }}) => violations.map((found) => \
         `${{found.id}}: ${{found.nodes.map((node) => `${{node.html}} ${{node.failureSummary}}`).join('; ')}}`))"
    );
    look_at_each(browser, name, async |place| {
        let found = browser.script(&judge, Vec::new()).await;
        assert_eq!(
            found.as_array().map(Vec::len),
            Some(0),
            "{place}: {found:#}"
        );
    })
    .await;
}
