//! What programs attach to.

use super::*;
use crate::target::ModuleBtf;
use btf::encoding;

fn kernel() -> Described {
    let vmlinux = types(|b| {
        let int = b.add_int(b"int", 4, encoding::SIGNED);
        let proto = b.add_func_proto(int, &[]);
        b.add_func(b"tcp_connect", 0, proto);
        b.add_func(b"bpf_lsm_file_open", 1, proto);
        b.add_func(b"bpf_iter_task", 1, proto);
        b.add_typedef(b"btf_trace_sched_switch", proto);
        // not what tracepoints are looked for as
        b.add_func(b"btf_trace_fake", 1, proto);
    });
    let base = Arc::new(Btf::parse(vmlinux.data().to_vec()).unwrap());
    let module = |name: &str, function: &[u8]| {
        let mut b = Builder::split(&base);
        b.add_func(function, 0, TypeId(2));
        let blob = b.finish().unwrap();
        ModuleBtf {
            name: name.into(),
            id: 1,
            btf: Btf::parse_split(blob, base.clone()).unwrap(),
        }
    };
    Described {
        modules: vec![module("nf_tables", b"nf_call"), module("nf", b"nf_call")],
        ..Described::of(vmlinux)
    }
}

fn tracing(attach: AttachType, module: Option<&str>, name: &str) -> Object {
    let mut object = empty();
    object.add("a", ProgType::TRACING, "r0 = 0\nexit");
    object.programs[0].expected_attach_type = attach;
    object.programs[0].attach_to = AttachTo::Kernel {
        module: module.map(str::to_owned),
        name: name.into(),
    };
    object
}

#[test]
fn targets_are_found_by_name_and_kind() {
    let check = |attach, module, name: &str, expect: &str| {
        let plan = planned(&tracing(attach, module, name), &kernel());
        let found = match plan.programs[0].attach {
            AttachPlan::Kernel { btf_id } => btf_id.to_string(),
            AttachPlan::Module { module, btf_id } => {
                format!("{}:{btf_id}", plan.modules[module.0 as usize].name)
            }
            _ => "nothing".into(),
        };
        assert_eq!(found, expect, "{name}");
    };
    let fentry = AttachType::TRACE_FENTRY;
    check(fentry, None, "tcp_connect", "3");
    check(fentry, Some("vmlinux"), "tcp_connect", "3");
    check(AttachType::LSM_MAC, None, "file_open", "4");
    check(AttachType::TRACE_ITER, None, "task", "5");
    check(AttachType::TRACE_RAW_TP, None, "sched_switch", "6");
    check(fentry, None, "nf_call", "nf_tables:8");
    // the whole name of the module counts
    check(fentry, Some("nf"), "nf_call", "nf:8");
}

#[test]
fn targets_that_are_not_there_are_errors() {
    let check = |attach, module, name: &str, expect: &str| {
        let object = tracing(attach, module, name);
        fails(&object, &kernel(), &format!("program 'a': {expect}"));
    };
    let fentry = AttachType::TRACE_FENTRY;
    check(
        fentry,
        None,
        "gone",
        "there is no function 'gone' to attach to: \
         FUNC 'gone' is not in the types of the kernel and its modules",
    );
    check(
        fentry,
        Some("vmlinux"),
        "nf_call",
        "there is no function 'nf_call' to attach to: \
         FUNC 'nf_call' is not in the types of the kernel proper",
    );
    check(
        fentry,
        Some("nf"),
        "tcp_connect",
        "there is no function 'tcp_connect' to attach to: \
         FUNC 'tcp_connect' is not in the types of module 'nf'",
    );
    check(
        AttachType::TRACE_RAW_TP,
        Some("vmlinux"),
        "fake",
        "there is no tracepoint 'fake' to attach to: \
         TYPEDEF 'btf_trace_fake' is not in the types of the kernel proper",
    );
    check(
        fentry,
        Some("gone"),
        "f",
        "the kernel has no module 'gone', or one without types",
    );
    let mut object = tracing(fentry, None, "f");
    fails(
        &object,
        &Described::default(),
        "the kernel's types, which have what programs attach to: \
         the target's description does not say: the kernel's types",
    );
    object.programs[0].autoload = false;
    planned(&object, &Described::default());
}

#[test]
fn what_sections_do_not_name_must_be_given() {
    let mut object = tracing(AttachType::TRACE_FENTRY, None, "f");
    object.programs[0].attach_to = AttachTo::Missing;
    fails(
        &object,
        &kernel(),
        "program 'a': section 'main' does not name what to attach to, and nothing else does",
    );
    object.programs[0].prog_type = ProgType::EXT;
    let no_program = "program 'a': the program that has the function to replace is not given";
    fails(&object, &kernel(), no_program);
    object.programs[0].attach_to = AttachTo::Kernel {
        module: None,
        name: "tcp_connect".into(),
    };
    fails(&object, &Described::default(), no_program);
}

#[test]
fn attaching_to_many_functions_names_the_module_only() {
    let mut object = tracing(AttachType::TRACE_FENTRY_MULTI, None, "f");
    object.programs[0].attach_to = AttachTo::Module("nf".into());
    let plan = planned(&object, &kernel());
    assert!(matches!(
        plan.programs[0].attach,
        AttachPlan::Module {
            module: ModuleIdx(0),
            btf_id: TypeId::VOID
        }
    ));
    assert_eq!(plan.modules[0].name, "nf");
    object.programs[0].attach_to = AttachTo::Module("n".into());
    fails(
        &object,
        &kernel(),
        "program 'a': the kernel has no module 'n', or one without types",
    );
    object.programs[0].attach_to = AttachTo::Module("vmlinux".into());
    let plan = planned(&object, &kernel());
    assert!(matches!(plan.programs[0].attach, AttachPlan::None));
}

#[test]
fn usdt_probes_many_where_the_kernel_can() {
    let mut object = empty();
    object.add("a", ProgType::KPROBE, "exit");
    object.programs[0].usdt = true;
    let mut target = Described::default();
    let attach = |target: &Described| planned(&object, target).programs[0].expected_attach_type;
    assert_eq!(attach(&target), Some(AttachType::TRACE_UPROBE_MULTI));
    target.missing.insert(Feature::UprobeMulti);
    assert_eq!(attach(&target), Some(AttachType(0)));
}
