//! Paths of tiles, and what is served for which size.

use super::*;
use proptest::prelude::*;

#[test]
fn paths_are_written_as_the_specification_has_them() {
    for (tile, path) in [
        (Tile::new(0, 0, 256), "tile/0/000"),
        (Tile::new(0, 273, 112), "tile/0/273.p/112"),
        (Tile::new(1, 1_234_067, 256), "tile/1/x001/x234/067"),
        (Tile::new(2, 1000, 1), "tile/2/x001/000.p/1"),
        (Tile::new(63, 999, 255), "tile/63/999.p/255"),
    ] {
        let tile = TilePath::Hashes(tile.unwrap());
        assert_eq!(tile.to_string(), path);
        assert_eq!(path.parse(), Ok(tile));
    }
    let bundle = EntryBundle::new(1_234_067, 3).unwrap().path();
    assert_eq!(bundle.to_string(), "tile/entries/x001/x234/067.p/3");
    assert_eq!("tile/entries/x001/x234/067.p/3".parse(), Ok(bundle));
}

#[test]
fn a_path_is_written_in_one_way_only() {
    for path in [
        "",
        "tile",
        "tile/0",
        "tile/0/",
        "tile/0/0",
        "tile/0/0000",
        "tile/00/000",
        "tile/+1/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/0/x000/001",
        "tile/0/001/001",
        "tile/0/x001",
        "tile/0/x001/x001",
        "tile/0/000.p",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/+1",
        "tile/0/000.p/1/2",
        "tile/0/+01",
        "tile/0/x018/x446/x744/x073/x709/x551/616",
        "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
        "tile/data/000",
        "tile/8/0/000",
        "/tile/0/000",
        "tile/0/000/",
        "tile/entries/",
    ] {
        assert_eq!(path.parse::<TilePath>(), Err(InvalidTilePath), "{path}");
    }
}

#[test]
fn only_what_a_tree_of_that_size_has_is_served() {
    let log = Stored::of_plain_records(600);
    let read = |level, index, width, size| {
        let tile = Tile::new(level, index, width).unwrap();
        tile.lookup(size).and_then(|lookup| lookup.read(&log))
    };
    assert_eq!(read(0, 0, 256, 600).unwrap().len(), 8192);
    assert_eq!(read(0, 2, 88, 600).unwrap().len(), 88 * 32);
    // The first hashes of a tile are those of the same tile when the tree was smaller.
    assert_eq!(read(0, 2, 7, 600).unwrap(), read(0, 2, 7, 519).unwrap());
    assert!(
        read(0, 2, 88, 600)
            .unwrap()
            .starts_with(&read(0, 2, 7, 600).unwrap())
    );
    assert_eq!(read(1, 0, 2, 600).unwrap().len(), 64);
    for (level, index, width, tree_size) in [
        (0, 2, 89, 600),
        (0, 2, 256, 600),
        (0, 3, 1, 600),
        (1, 0, 3, 600),
        (1, 0, 2, 511),
        (2, 0, 1, 600),
        (8, 0, 1, MAX_TREE_SIZE),
        (63, u64::MAX, 256, MAX_TREE_SIZE),
        (0, 0, 1, 0),
    ] {
        let refused = TreeError::NoSuchTile { tree_size };
        assert_eq!(read(level, index, width, tree_size), Err(refused));
    }
    let bundle = EntryBundle::new(2, 88).unwrap();
    assert_eq!(bundle.positions(600), Ok(512..600));
    let tree_size = 599;
    assert_eq!(
        bundle.positions(599),
        Err(TreeError::NoSuchTile { tree_size })
    );
}

#[test]
fn each_hash_above_the_leaves_is_the_root_of_a_full_tile_below() {
    let log = Stored::of_plain_records(600);
    let bytes = |tile: Tile| tile.lookup(600).unwrap().read(&log).unwrap();
    let above = Tile::new(1, 0, 2).unwrap();
    for (index, hash) in above.hashes(&bytes(above)).unwrap().into_iter().enumerate() {
        let below = Tile::new(0, index as u64, 256).unwrap();
        let leaves = below.hashes(&bytes(below)).unwrap();
        assert_eq!(Stored::of(leaves).frontier.root(), hash);
    }
    assert_eq!(above.hashes(&[0; 63]), None);
}

#[test]
fn a_bundle_says_what_is_wrong_with_it() {
    let bundle = EntryBundle::new(0, 2).unwrap();
    let headers = [plain_record(0), plain_record(1)];
    let bytes = bundle.encode(&headers).unwrap();
    let count = |found| EntryBundleError::Count { expected: 2, found };
    assert_eq!(bundle.encode(&headers[..1]), Err(count(1)));
    assert_eq!(bundle.decode(&bytes[..135]), Err(count(1)));
    assert_eq!(
        bundle.decode(&[bytes.as_slice(), &bytes].concat()),
        Err(count(4))
    );
    assert_eq!(
        bundle.decode(&bytes[..269]),
        Err(EntryBundleError::Truncated(1))
    );
    assert_eq!(
        bundle.decode(&bytes[..136]),
        Err(EntryBundleError::Truncated(1))
    );
    let mut other = bytes;
    other[2] = b'l';
    let refused = bundle.decode(&other).unwrap_err();
    assert!(matches!(refused, EntryBundleError::Header { entry: 0, .. }));
}

proptest! {
    #[test]
    fn every_path_reads_back(level in 0_u8..64, index: u64, width in 1_u16..=256) {
        let path = TilePath::Hashes(Tile::new(level, index, width).unwrap());
        prop_assert_eq!(path.to_string().parse(), Ok(path));
        let path = EntryBundle::new(index, width).unwrap().path();
        prop_assert_eq!(path.to_string().parse(), Ok(path));
    }

    #[test]
    fn no_text_makes_the_parsers_panic(text in "\\PC{0,60}", path in "tile/[0-9a-z/.+]{0,40}") {
        let _ = text.parse::<TilePath>();
        if let Ok(parsed) = path.parse::<TilePath>() {
            prop_assert_eq!(parsed.to_string(), path);
        }
    }
}
