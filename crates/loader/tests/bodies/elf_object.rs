//! Bytes as an object: whatever is read can be shown and edited, and nothing is many times the
//! bytes.

#[path = "skeletons.rs"]
mod skeletons;

use loader::model::{Object, ParseOptions, RefTarget};

pub(crate) fn run(data: &[u8]) {
    let options = ParseOptions::named("object").relaxed_maps(data.len() % 2 == 1);
    let Ok(object) = Object::parse(data, &options) else {
        return;
    };
    sound(&object, data.len());
    let text = object.to_string();
    let again = Object::parse(data, &options).expect("it was read before");
    assert_eq!(
        text,
        again.to_string(),
        "the same bytes are the same object"
    );
    skeletons::run(&object, data.len());
    edit(object);
}

/// Parts refer to parts that are there, in order, and take no more room than the file allows.
fn sound(object: &Object, file: usize) {
    let count = |len: usize| u32::try_from(len).expect("counted in 32 bits");
    let functions = count(object.functions().len());
    let maps = count(object.maps().len());
    let externs = count(object.externs().len());
    let tables = count(object.jump_tables().len());
    let mut insns = 0;
    let mut records = 0;
    for function in object.functions() {
        insns += function.insns.len();
        records += function.line_info.len() + function.func_info.len() + function.core_relos.len();
        assert!(function.refs.is_sorted_by(|a, b| a.insn < b.insn));
        assert!(function.line_info.is_sorted_by(|a, b| a.insn < b.insn));
        assert!(function.core_relos.is_sorted_by_key(|relo| relo.insn_off));
        let len = count(function.insns.len());
        for reference in &function.refs {
            let broken = matches!(reference.target, RefTarget::Broken(_));
            assert!(reference.insn < len || broken && reference.insn == 0 && len == 0);
            match &reference.target {
                RefTarget::Call(func) | RefTarget::FuncAddr(func) => assert!(func.0 < functions),
                RefTarget::Map(map) | RefTarget::MapValue { map, .. } => assert!(map.0 < maps),
                RefTarget::Extern(ext) => assert!(ext.0 < externs),
                RefTarget::JumpTable(table) => assert!(table.0 < tables),
                RefTarget::Broken(why) => assert!(why.len() < 1000),
            }
        }
    }
    // what shares bytes may take sixteen times the file; eight names may share records
    let limit = file * 16 + (1 << 16);
    assert!(insns * 8 <= limit, "{insns} instructions of {file} bytes");
    assert!(records <= file * 3, "{records} records of {file} bytes");
    for program in object.programs() {
        assert!(program.func.0 < functions);
        assert!(
            program
                .exception_callback
                .is_none_or(|func| func.0 < functions)
        );
    }
    let data: usize = object.maps().iter().map(|map| map.data.len()).sum();
    assert!(data <= limit, "{data} bytes of data of {file} bytes");
    for map in object.maps() {
        assert!(map.name.len() <= 15 * 3 && map.data.len() <= file);
        assert!(map.slots.is_sorted_by(|a, b| a.index < b.index));
    }
    for variable in object.variables() {
        assert!(variable.map.0 < maps);
    }
}

/// Edits answer with an error or are done.
fn edit(mut object: Object) {
    let names: Vec<_> = object
        .programs()
        .iter()
        .take(4)
        .map(|p| p.name.clone())
        .collect();
    for name in &names {
        object.select_only(&[name]).expect("it has this name");
    }
    let variables: Vec<_> = object
        .variables()
        .iter()
        // what is zero in the file gets memory when it is set
        .filter(|variable| variable.offset < 1 << 16 && variable.size < 1 << 16)
        .filter(|variable| {
            let map = object.maps().get(variable.map.index());
            map.is_some_and(|map| map.spec.value_size < 1 << 16)
        })
        .take(8)
        .map(|variable| variable.name.clone())
        .collect();
    for name in &variables {
        for (part, value) in [
            ("", "1"),
            ("", "-7"),
            ("", "text"),
            ("[0]", "2"),
            (".a[1]", "0x3"),
        ] {
            drop(object.set_variable(&format!("{name}{part}"), value));
        }
    }
    let maps: Vec<_> = object
        .maps()
        .iter()
        .filter(|map| map.spec.value_size < 1 << 16)
        .take(4)
        .map(|map| (map.symbol.clone(), map.spec.value_size))
        .collect();
    for (name, size) in maps {
        for size in [size.saturating_add(8), size / 2, 4] {
            drop(object.set_value_size(&name, size));
        }
    }
    drop(object.to_string());
}
