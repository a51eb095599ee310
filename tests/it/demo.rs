//! What a newcomer sees first.

use fixtures::process::{bare, said};
use fixtures::sandbox::PATIENCE;
use std::time::Instant;

#[test]
fn the_demo_goes_as_it_tells_and_leaves_nothing_behind() {
    let began = Instant::now();
    let folder = tempfile::tempdir().unwrap();
    let output = bare("demo").env("TMPDIR", folder.path()).output().unwrap();
    let (told, complained) = said(&output);
    assert!(output.status.success(), "{told}\n{complained}");
    assert!(told.contains("All of it went as told"), "{told}");
    assert!(
        told.contains("each follows from the one before it"),
        "{told}"
    );
    assert!(complained.is_empty(), "{complained}");
    assert!(!told.contains('\x1b'), "colour without a terminal");
    let wide = told.lines().find(|line| line.chars().count() > 80);
    assert_eq!(wide, None);
    assert!(began.elapsed() < PATIENCE);
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}
