//! Bytes as one or two objects: what they make is an object that gives itself when it is linked
//! alone, and is not much larger than they are.

use loader::link_objects::{LinkError, Linker};

fn link(objects: &[&[u8]]) -> Result<Vec<u8>, LinkError> {
    let mut linker = Linker::new();
    for object in objects {
        linker.add("object", object)?;
    }
    linker.finish()
}

/// Fails without showing all the bytes.
fn same(one: &[u8], other: Result<Vec<u8>, LinkError>, what: &str) {
    match other {
        Ok(other) => {
            let differs = one.iter().zip(&other).position(|(one, other)| one != other);
            let (len, other) = (one.len(), other.len());
            assert!(
                differs.is_none() && len == other,
                "{what}: {len} {other} {differs:?}"
            );
        }
        Err(error) => panic!("{what}: {error}"),
    }
}

pub(crate) fn run(data: &[u8]) {
    // two bytes say where the second object starts
    let Some((cut, data)) = data.split_first_chunk() else {
        return;
    };
    let cut = usize::from(u16::from_le_bytes(*cut));
    let check = |objects: &[&[u8]]| {
        let Ok(made) = link(objects) else { return };
        let bytes: usize = objects.iter().map(|object| object.len()).sum();
        let most = (1 << 20) * objects.len() + 64 * bytes;
        assert!(made.len() <= most, "{} bytes of {bytes}", made.len());
        same(&made, link(objects), "a second time");
        same(&made, link(&[&made]), "linked alone");
    };
    match data.split_at_checked(cut) {
        Some((one, other)) if cut != 0 => check(&[one, other]),
        _ => {
            check(&[data]);
            check(&[data, data]);
        }
    }
}
