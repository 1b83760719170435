//! What kernels that lack something get.

use super::*;

fn without(features: &[Feature]) -> Described {
    let mut target = Described::default();
    target.missing.extend(features);
    target
}

#[track_caller]
fn check(object: &Object, feature: Feature, expect: &[&str]) -> LoadPlan {
    let full = planned(object, &Described::default());
    assert!(full.downgrades.is_empty(), "{:?}", full.downgrades);
    let plan = planned(object, &without(&[feature]));
    let got: Vec<&str> = plan.downgrades.iter().map(|d| d.what.as_str()).collect();
    assert_eq!(got, expect);
    assert!(plan.downgrades.iter().all(|d| d.feature == feature));
    plan
}

#[test]
fn names_are_left_out() {
    let mut object = empty();
    object.add("a", ProgType::XDP, "exit");
    object.add_map(hash("m"));
    let expect = ["maps have no names", "programs have no names"];
    let plan = check(&object, Feature::ObjectNames, &expect);
    assert_eq!(plan.maps[0].name, "");
    assert!(!plan.programs[0].named);
    assert_eq!(plan.programs[0].name, "a");
}

#[test]
fn sections_are_not_made_without_global_data() {
    let mut object = empty();
    let main = object.add("a", ProgType::XDP, "r1 = 0x0\nexit");
    object.add("b", ProgType::XDP, "exit");
    let data = object.add_map(section(".data", MapOrigin::Data, &[1]));
    object.add_map(hash("m"));
    let main = object.main(main);
    object.refer(
        main,
        0,
        RefTarget::MapValue {
            map: data,
            offset: 0,
        },
    );
    let plan = check(&object, Feature::GlobalData, &["map '.data' is not made"]);
    assert!(matches!(&plan.maps[0].action, MapAction::Skip(why)
        if why == "this kernel has no global variables"));
    assert!(plan.maps[0].value.is_none());
    assert_eq!(
        plan.programs[0].poisoned[0].why,
        Poison::Map(".data".into())
    );
    assert!(plan.programs[1].poisoned.is_empty());
}

#[test]
fn memory_is_read_by_the_older_helper() {
    let mut object = empty();
    let text = "call bpf_probe_read_kernel#113\ncall bpf_probe_read_user#112\n\
                call bpf_probe_read_kernel_str#115\ncall bpf_probe_read_user_str#114\n\
                call bpf_ktime_get_ns#5\nr0 = 113\nexit";
    object.add("a", ProgType::KPROBE, text);
    let plan = check(
        &object,
        Feature::ProbeReadKernel,
        &[
            "bpf_probe_read_kernel becomes bpf_probe_read",
            "bpf_probe_read_user becomes bpf_probe_read",
            "bpf_probe_read_kernel_str becomes bpf_probe_read_str",
            "bpf_probe_read_user_str becomes bpf_probe_read_str",
        ],
    );
    let imms: Vec<i32> = plan.programs[0].insns.iter().map(|insn| insn.imm).collect();
    assert_eq!(imms, [4, 4, 45, 45, 5, 113, 0]);
}

#[test]
fn attach_types_are_left_out_where_they_may_be() {
    let mut object = empty();
    object.add("a", ProgType::CGROUP_SKB, "exit");
    object.add("b", ProgType::CGROUP_SKB, "exit");
    for program in &mut object.programs {
        program.expected_attach_type = AttachType::CGROUP_INET_EGRESS;
    }
    object.programs[0].attach_type_optional = true;
    let plan = check(
        &object,
        Feature::ExpectedAttachType,
        &["program 'a' does not say its attach type"],
    );
    assert_eq!(plan.programs[0].expected_attach_type, None);
    assert_eq!(
        plan.programs[1].expected_attach_type,
        Some(AttachType::CGROUP_INET_EGRESS)
    );
}

#[test]
fn sections_are_not_mapped_where_arrays_cannot_be() {
    let mut object = empty();
    object.add_map(Map {
        spec: MapSpec {
            flags: MapFlags::MMAPABLE,
            ..section(".data", MapOrigin::Data, &[1]).spec
        },
        ..section(".data", MapOrigin::Data, &[1])
    });
    // arrays that the author says can be mapped are left to the kernel
    object.add_map(Map {
        spec: MapSpec {
            flags: MapFlags::MMAPABLE,
            ..hash("m").spec
        },
        ..hash("m")
    });
    let plan = check(
        &object,
        Feature::ArrayMmap,
        &["map '.data' cannot be mapped"],
    );
    assert_eq!(plan.maps[0].spec.flags, MapFlags::empty());
    assert_eq!(plan.maps[1].spec.flags, MapFlags::MMAPABLE);
}

#[test]
fn constants_are_not_bound() {
    let mut object = empty();
    object.add("a", ProgType::XDP, "exit");
    object.add_map(section(".rodata", MapOrigin::Constants, &[1]));
    let what = "maps of constants are not bound to programs";
    let plan = check(&object, Feature::ProgBindMap, &[what]);
    assert!(plan.programs[0].bind.is_empty());
}

#[test]
fn types_are_left_out() {
    let mut object = empty();
    object.add("a", ProgType::XDP, "exit");
    object.add_map(Map {
        spec: MapSpec {
            key_type: TypeId(1),
            value_type: TypeId(1),
            ..hash("m").spec
        },
        ..hash("m")
    });
    object.btf = Some(Arc::new(types(|b| {
        b.add_int(b"int", 4, 1);
    })));
    object.functions[0].func_info = vec![FuncInfo {
        insn: 0,
        type_id: TypeId(1),
    }];
    let plan = check(&object, Feature::Btf, &["types are not loaded"]);
    assert!(plan.btf.is_none());
    assert!(plan.programs[0].func_info.is_empty());
    assert_eq!(plan.maps[0].spec.key_type, TypeId::VOID);
    assert!(
        plan.to_string()
            .contains("the kernel lacks:\n    btf: types are not loaded\n")
    );
}

/// Which features are asked for, and how often types are.
#[derive(Debug, Default)]
struct Asked(
    Described,
    std::cell::RefCell<Vec<Feature>>,
    std::cell::Cell<u32>,
);

impl Target for Asked {
    fn vmlinux(&self) -> Result<&Btf<'static>, crate::target::TargetError> {
        self.2.set(self.2.get() + 1);
        self.0.vmlinux()
    }
    fn modules(&self) -> Result<&[crate::target::ModuleBtf], crate::target::TargetError> {
        self.2.set(self.2.get() + 1);
        self.0.modules()
    }
    fn kallsyms(
        &self,
        names: &[&str],
    ) -> Result<Vec<crate::target::Symbol>, crate::target::TargetError> {
        self.0.kallsyms(names)
    }
    fn kconfig(&self, names: &[&str]) -> Result<Vec<Option<String>>, crate::target::TargetError> {
        self.0.kconfig(names)
    }
    fn has(&self, feature: Feature) -> bpfsys::probe::Support {
        self.1.borrow_mut().push(feature);
        self.0.has(feature)
    }
    fn version(&self) -> u32 {
        self.0.version()
    }
    fn possible_cpus(&self) -> Result<u32, crate::target::TargetError> {
        self.0.possible_cpus()
    }
    fn page_size(&self) -> u32 {
        self.0.page_size()
    }
}

#[test]
fn nothing_is_asked_for_that_does_not_matter() {
    let asked = |object: &Object| {
        let target = Asked::default();
        planned(object, &target);
        assert_eq!(target.2.get(), 0, "the kernel's types are of no use here");
        let mut asked = target.1.into_inner();
        asked.sort();
        asked.dedup();
        asked
    };
    let mut object = empty();
    object.add("a", ProgType::XDP, "exit");
    assert_eq!(asked(&object), [Feature::ObjectNames]);
    object.btf = Some(Arc::new(types(|b| {
        let int = b.add_int(b"int", 4, 1);
        let proto = b.add_func_proto(int, &[]);
        b.add_func(b"f", 1, proto);
    })));
    // types of global functions say that there are types of functions, and types
    assert_eq!(
        asked(&object),
        [Feature::ObjectNames, Feature::BtfGlobalFunc]
    );
    object.add_map(section(".data", MapOrigin::Data, &[1]));
    assert_eq!(
        asked(&object),
        [
            Feature::ObjectNames,
            Feature::GlobalData,
            Feature::BtfGlobalFunc
        ]
    );
}
