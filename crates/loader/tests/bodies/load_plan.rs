//! Bytes as an object, planned for a kernel that lacks something or nothing: a plan or an error,
//! neither of which is many times the bytes, and the same each time.

use btf::Btf;
use loader::model::{Object, ParseOptions};
use loader::relocate::{AttachPlan, LoadPlan, MapAction, PlanOptions};
use loader::target::{Described, Feature};
use std::error::Error;

/// An object; what is behind it says which features are missing (4 bytes) and which programs are
/// selected (1 byte). Objects of compilers, which have nothing there, are fine as they are.
pub(crate) fn run(data: &[u8]) {
    let Some((_, [a, b, c, d, selected])) = data.split_last_chunk::<5>() else {
        return;
    };
    let missing = u32::from_le_bytes([*a, *b, *c, *d]);
    let Ok(mut object) = Object::parse(data, &ParseOptions::named("fuzz")) else {
        return;
    };
    // a kernel that has the object's own types has much of what the object looks for
    let types = object
        .btf
        .as_ref()
        .and_then(|btf| Btf::parse(btf.data().to_vec()).ok());
    let mut target = match types {
        Some(types) => Described::of(types),
        None => Described::default(),
    };
    target.kconfig = Some([("CONFIG_HZ".to_owned(), "1000".to_owned())].into());
    target.symbols = Some([].into());
    let bits = (0..).zip(Feature::ALL);
    let gone = bits.filter(|(bit, _)| missing >> bit & 1 != 0);
    target.missing.extend(gone.map(|(_, feature)| *feature));
    for (at, program) in object.programs_mut().iter_mut().enumerate() {
        program.autoload = selected >> (at % 8) & 1 == 0;
    }
    let options = PlanOptions {
        explain: true,
        ..PlanOptions::default()
    };
    // what is wrong with one program must not keep others
    for _ in 0..3 {
        let plan = LoadPlan::new(&object, &target, &options);
        let again = LoadPlan::new(&object, &target, &options);
        match (plan, again) {
            (Ok(plan), Ok(again)) => {
                check(&object, &plan);
                assert_eq!(plan.to_string(), again.to_string());
                return;
            }
            (Err(error), Err(again)) => {
                let text = chain(&error);
                assert_eq!(text, chain(&again));
                assert!(!text.contains(char::is_control), "{text:?}");
                assert!(text.len() < 1 << 20);
            }
            _ => panic!("one of two equal plans failed"),
        }
        let first = object.programs_mut().iter_mut().find(|p| p.autoload);
        match first {
            Some(program) => program.autoload = false,
            None => return,
        }
    }
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text += &format!(": {cause}");
        next = cause.source();
    }
    text
}

/// What whoever loads the plan relies on.
fn check(object: &Object, plan: &LoadPlan) {
    assert_eq!(plan.maps.len(), object.maps().len());
    for (at, map) in plan.maps.iter().enumerate() {
        assert_eq!(map.map.index(), at);
        let skipped = matches!(map.action, MapAction::Skip(_));
        assert!(!skipped || map.value.is_none() && map.slots.is_empty() && !map.freeze);
        if let Some(value) = &map.value {
            assert_eq!(value.len(), map.spec.value_size as usize);
        }
        if let Some(ops) = &map.struct_ops {
            assert_eq!(ops.value.len(), map.spec.value_size as usize);
            for (offset, prog) in &ops.progs {
                assert!(*offset as usize + 8 <= ops.value.len());
                assert!(plan.programs.iter().any(|p| p.prog == *prog));
            }
        }
    }
    if let Some(btf) = &plan.btf {
        let types = Btf::parse(&btf.data).expect("types of a plan");
        let before = object.btf.as_ref().expect("types of the object");
        assert!(types.len() >= before.len());
    }
    for program in &plan.programs {
        let len = u32::try_from(program.insns.len()).expect("programs are bounded");
        assert!(len > 0 && len <= 1_000_000);
        assert!(program.operands.is_sorted_by_key(|operand| operand.insn));
        for operand in &program.operands {
            let slots = program
                .insns
                .get(operand.insn as usize..)
                .expect("the operand");
            assert!(slots.len() >= 2 && slots.first().is_some_and(|insn| insn.is_wide()));
        }
        assert!(program.parts.is_sorted_by_key(|part| part.start));
        assert_eq!(program.parts.first().map(|part| part.start), Some(0));
        assert!(program.poisoned.is_sorted_by_key(|poisoned| poisoned.insn));
        assert!(program.poisoned.iter().all(|poisoned| poisoned.insn < len));
        assert!(program.core.iter().all(|note| note.insn < len));
        for table in &program.jump_tables {
            assert!(table.entries.iter().all(|entry| *entry < len));
        }
        if let AttachPlan::Module { module, .. } = program.attach {
            assert!((module.0 as usize) < plan.modules.len());
        }
    }
    let text = plan.to_string();
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'));
}
