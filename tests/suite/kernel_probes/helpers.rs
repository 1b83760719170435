//! Helpers by program type.

use anyhow::Result;
use bpfsys::ProgType;
use bpfsys::probe::{self, Support};
use bpfsys::uapi::helpers::HelperId as Id;
use rbpftool_tests::kernel::{Excuse, Fact, Judge, Need, Verdict};

use crate::Lines;

/// Those that programs of every type may call.
const EVERYBODYS: &[Id] = &[
    Id::MAP_LOOKUP_ELEM,
    Id::MAP_UPDATE_ELEM,
    Id::MAP_DELETE_ELEM,
    Id::KTIME_GET_NS,
    Id::GET_PRANDOM_U32,
    Id::GET_SMP_PROCESSOR_ID,
    Id::TAIL_CALL,
    Id::GET_NUMA_NODE_ID,
    Id::MAP_PUSH_ELEM,
    Id::MAP_POP_ELEM,
    Id::MAP_PEEK_ELEM,
    Id::JIFFIES64,
    Id::KTIME_GET_BOOT_NS,
    Id::RINGBUF_OUTPUT,
    Id::RINGBUF_RESERVE,
    Id::RINGBUF_SUBMIT,
    Id::RINGBUF_DISCARD,
    Id::RINGBUF_QUERY,
    Id::PER_CPU_PTR,
    Id::THIS_CPU_PTR,
    Id::FOR_EACH_MAP_ELEM,
    Id::TIMER_INIT,
    Id::TIMER_SET_CALLBACK,
    Id::TIMER_START,
    Id::TIMER_CANCEL,
    Id::LOOP,
    Id::STRNCMP,
    Id::KPTR_XCHG,
    Id::MAP_LOOKUP_PERCPU_ELEM,
    Id::DYNPTR_FROM_MEM,
    Id::RINGBUF_RESERVE_DYNPTR,
    Id::RINGBUF_SUBMIT_DYNPTR,
    Id::RINGBUF_DISCARD_DYNPTR,
    Id::DYNPTR_READ,
    Id::DYNPTR_WRITE,
    Id::DYNPTR_DATA,
    Id::KTIME_GET_TAI_NS,
    Id::USER_RINGBUF_DRAIN,
];

/// Those of some types only: the types, the helpers, what they need.
const OWN: &[(&[ProgType], &[Id], &[Need])] = &[
    (
        &[ProgType::XDP],
        &[
            Id::XDP_ADJUST_HEAD,
            Id::XDP_ADJUST_META,
            Id::XDP_ADJUST_TAIL,
            Id::REDIRECT_MAP,
            Id::XDP_LOAD_BYTES,
            Id::XDP_STORE_BYTES,
        ],
        &[],
    ),
    (
        &[ProgType::SCHED_CLS, ProgType::SCHED_ACT],
        &[
            Id::SKB_VLAN_PUSH,
            Id::SKB_VLAN_POP,
            Id::SKB_CHANGE_PROTO,
            Id::SKB_CHANGE_TYPE,
            Id::SET_HASH,
            Id::REDIRECT_NEIGH,
            Id::REDIRECT_PEER,
            Id::SKB_SET_TSTAMP,
        ],
        &[],
    ),
    (
        &[ProgType::SOCK_OPS],
        &[
            Id::SOCK_MAP_UPDATE,
            Id::SOCK_HASH_UPDATE,
            Id::SOCK_OPS_CB_FLAGS_SET,
            Id::LOAD_HDR_OPT,
            Id::STORE_HDR_OPT,
            Id::RESERVE_HDR_OPT,
        ],
        &[Need::Set("INET")],
    ),
    (
        &[ProgType::SK_SKB],
        &[Id::SK_REDIRECT_MAP, Id::SK_REDIRECT_HASH],
        &[],
    ),
    (
        &[ProgType::SK_MSG],
        &[
            Id::MSG_REDIRECT_MAP,
            Id::MSG_REDIRECT_HASH,
            Id::MSG_APPLY_BYTES,
            Id::MSG_CORK_BYTES,
            Id::MSG_PULL_DATA,
            Id::MSG_PUSH_DATA,
            Id::MSG_POP_DATA,
        ],
        &[],
    ),
    (
        &[ProgType::CGROUP_SOCK_ADDR],
        &[Id::BIND],
        &[Need::Set("INET")],
    ),
    (
        &[ProgType::LWT_IN, ProgType::LWT_XMIT],
        &[Id::LWT_PUSH_ENCAP],
        &[],
    ),
    (
        &[ProgType::LWT_SEG6LOCAL],
        &[
            Id::LWT_SEG6_STORE_BYTES,
            Id::LWT_SEG6_ADJUST_SRH,
            Id::LWT_SEG6_ACTION,
        ],
        &[Need::Set("IPV6_SEG6_BPF")],
    ),
    (&[ProgType::SK_REUSEPORT], &[Id::SK_SELECT_REUSEPORT], &[]),
    (
        &[ProgType::CGROUP_SYSCTL],
        &[
            Id::SYSCTL_GET_NAME,
            Id::SYSCTL_GET_CURRENT_VALUE,
            Id::SYSCTL_GET_NEW_VALUE,
            Id::SYSCTL_SET_NEW_VALUE,
        ],
        &[],
    ),
    (
        &[ProgType::PERF_EVENT],
        &[Id::PERF_PROG_READ_VALUE, Id::READ_BRANCH_RECORDS],
        &[],
    ),
    (
        &[ProgType::SYSCALL],
        &[Id::SYS_BPF, Id::SYS_CLOSE, Id::BTF_FIND_BY_NAME_KIND],
        &[],
    ),
    (
        &[ProgType::LIRC_MODE2],
        &[Id::RC_REPEAT, Id::RC_KEYDOWN, Id::RC_POINTER_REL],
        &[],
    ),
];

/// All helpers of all types, checked and told.
pub(crate) fn check(lines: &Lines, target: &Excuse) -> Result<()> {
    let judge = Judge::running()?;
    let mut wrong = Vec::new();
    let mut blind = None;
    for prog_type in ProgType::ALL.iter().skip(1) {
        let answers: Vec<(Id, Support)> = Id::ALL
            .iter()
            .map(|id| (*id, probe::helper(*prog_type, *id)))
            .collect();
        tell(lines, *prog_type, &answers);
        let verdict = one_type(&judge, *prog_type, &answers, target);
        wrong.extend(verdict.wrong);
        blind = blind.or(verdict.blind);
    }
    Verdict { wrong, blind }.into_result()
}

fn tell(lines: &Lines, prog_type: ProgType, answers: &[(Id, Support)]) {
    let names: Vec<String> = answers
        .iter()
        .filter(|(_, answer)| answer.is_yes())
        .map(|(id, _)| id.to_string())
        .collect();
    let unknown = answers
        .iter()
        .any(|(_, answer)| matches!(answer, Support::Unknown(_)));
    let count = if unknown {
        "unknown".to_owned()
    } else {
        names.len().to_string()
    };
    let prog_type = prog_type.to_string();
    lines.feature("helpers", &prog_type, &count);
    if !names.is_empty() {
        lines.feature("helper_names", &prog_type, &names.join(","));
    }
}

fn one_type(
    judge: &Judge,
    prog_type: ProgType,
    answers: &[(Id, Support)],
    target: &Excuse,
) -> Verdict {
    let fact = |id: Id, answer, needs| Fact {
        name: format!("{prog_type}/{id}"),
        since: id.since(),
        needs,
        answer,
    };
    let mut verdict = Verdict::default();
    if let Support::Unknown(error) = probe::prog_type(prog_type) {
        // That this is unknown is for the test of program types to judge.
        let all = answers
            .iter()
            .all(|(_, a)| matches!(a, Support::Unknown(_)));
        if !all {
            verdict.wrong.push(format!(
                "{prog_type}: has helpers, but is unknown itself: {error}"
            ));
        }
        return verdict;
    }
    if target.names.contains(&prog_type.to_string().as_str()) {
        let told = answers
            .iter()
            .filter(|(_, a)| !matches!(a, Support::Unknown(e) if (target.says)(e)));
        verdict.wrong.extend(
            told.map(|(id, answer)| format!("{prog_type}/{id}: {answer}, though {}", target.why)),
        );
        return verdict;
    }
    let there = probe::prog_type(prog_type).is_yes();
    let mut facts = Vec::new();
    for (id, answer) in answers {
        let own = OWN.iter().find(|(_, ids, _)| ids.contains(id));
        let others = own.is_some_and(|(types, ..)| !types.contains(&prog_type));
        if *id == Id::UNSPEC || !there || others {
            if !answer.is_no() {
                verdict.wrong.push(format!("{prog_type}/{id}: {answer}"));
            }
        } else if let Some((.., needs)) = own {
            facts.push(fact(*id, *answer, *needs));
        } else if EVERYBODYS.contains(id) || !answer.is_no() {
            facts.push(fact(*id, *answer, &[]));
        }
    }
    let judged = judge.verdict(&facts, &[]);
    verdict.wrong.extend(judged.wrong);
    verdict.blind = judged.blind;
    verdict
}
