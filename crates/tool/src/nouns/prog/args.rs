//! The words of `prog attach` and `prog run`.

use std::ffi::OsStr;
use std::path::Path;

use bpfsys::AttachType;

use crate::failure::{EINVAL_STATUS, Failure, Result};
use crate::grammar::nearest;
use crate::words::{Words, is_prefix, shown};

/// The attach types that `prog attach` takes, with their short names.
const ATTACH_TYPES: [(&str, Option<&str>, AttachType); 5] = [
    (
        "sk_skb_stream_parser",
        Some("stream_parser"),
        AttachType::SK_SKB_STREAM_PARSER,
    ),
    (
        "sk_skb_stream_verdict",
        Some("stream_verdict"),
        AttachType::SK_SKB_STREAM_VERDICT,
    ),
    (
        "sk_msg_verdict",
        Some("msg_verdict"),
        AttachType::SK_MSG_VERDICT,
    ),
    ("flow_dissector", None, AttachType::FLOW_DISSECTOR),
    (
        "sk_skb_verdict",
        Some("skb_verdict"),
        AttachType::SK_SKB_VERDICT,
    ),
];

/// Reads an attach type: the full name of any, or any prefix of a short name of bpftool's.
pub fn attach_type(words: &mut Words<'_>) -> Result<AttachType> {
    let word = words.take("an attach type")?;
    let bpftools = ATTACH_TYPES.iter().find(|(full, short, _)| {
        word == *full || short.is_some_and(|short| is_prefix(word, short))
    });
    let mut all = AttachType::ALL.iter();
    bpftools
        .map(|(_, _, attach_type)| attach_type)
        .or_else(|| all.find(|own| own.name().is_some_and(|name| word == name)))
        .copied()
        .ok_or_else(|| {
            let known: Vec<_> = ATTACH_TYPES.iter().map(|(full, ..)| *full).collect();
            let failure = Failure::new(format_args!(
                "invalid attach/detach type '{}': one of {}, or the name of another one is \
                 expected",
                shown(word),
                known.join(", ")
            ))
            .with_status(EINVAL_STATUS);
            let all = AttachType::ALL.iter().filter_map(|own| own.name());
            match nearest(word, all) {
                Some(near) => failure.with_hint(format!("did you mean '{near}'?")),
                None => failure,
            }
        })
}

/// What programs of an attach type attach to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttachTo {
    /// A socket map.
    Map,
    /// A network namespace.
    Netns,
    /// A cgroup.
    Cgroup,
    /// An interface, among others in an order.
    List,
    /// The receive path of an interface.
    Xdp,
    /// A netfilter hook.
    Netfilter,
    /// An infrared receiver.
    Lirc,
    /// What their load said.
    AsLoaded,
    /// Not by this command: how then.
    Otherwise(&'static str),
}

/// What programs of this attach type attach to.
#[must_use]
pub fn attach_to(attach_type: AttachType) -> AttachTo {
    match attach_type {
        AttachType::SK_SKB_STREAM_PARSER
        | AttachType::SK_SKB_STREAM_VERDICT
        | AttachType::SK_SKB_VERDICT
        | AttachType::SK_MSG_VERDICT => AttachTo::Map,
        AttachType::FLOW_DISSECTOR | AttachType::SK_LOOKUP => AttachTo::Netns,
        AttachType::LSM_CGROUP => AttachTo::Cgroup,
        AttachType::TCX_INGRESS
        | AttachType::TCX_EGRESS
        | AttachType::NETKIT_PRIMARY
        | AttachType::NETKIT_PEER => AttachTo::List,
        AttachType::XDP => AttachTo::Xdp,
        AttachType::NETFILTER => AttachTo::Netfilter,
        AttachType::LIRC_MODE2 => AttachTo::Lirc,
        AttachType::TRACE_RAW_TP
        | AttachType::TRACE_FENTRY
        | AttachType::TRACE_FEXIT
        | AttachType::TRACE_FSESSION
        | AttachType::MODIFY_RETURN
        | AttachType::LSM_MAC
        | AttachType::TRACE_ITER => AttachTo::AsLoaded,
        AttachType::XDP_DEVMAP | AttachType::XDP_CPUMAP => {
            AttachTo::Otherwise("they are values of the map")
        }
        AttachType::SK_REUSEPORT_SELECT | AttachType::SK_REUSEPORT_SELECT_OR_MIGRATE => {
            AttachTo::Otherwise("the owner of the sockets does it")
        }
        AttachType::STRUCT_OPS => AttachTo::Otherwise("'struct_ops register' does it"),
        other if other.name().is_some_and(|name| name.starts_with("cgroup_")) => AttachTo::Cgroup,
        _ => AttachTo::Otherwise("'prog loadall ... autoattach' does it"),
    }
}

/// What `prog run` was asked to do.
#[derive(Debug, Default)]
pub struct RunArgs<'a> {
    /// Input packet or buffer.
    pub data_in: Option<&'a Path>,
    /// Where the packet goes after the run.
    pub data_out: Option<&'a Path>,
    /// Room for it, in bytes.
    pub data_size_out: Option<u32>,
    /// Input context.
    pub ctx_in: Option<&'a Path>,
    /// Where the context goes after the run.
    pub ctx_out: Option<&'a Path>,
    /// Room for it, in bytes.
    pub ctx_size_out: Option<u32>,
    /// How often to run.
    pub repeat: Option<u32>,
}

const RUN_WORDS: [&str; 7] = [
    "data_in",
    "data_out",
    "data_size_out",
    "ctx_in",
    "ctx_out",
    "ctx_size_out",
    "repeat",
];

impl<'a> RunArgs<'a> {
    /// Reads the words after the program.
    pub fn parse(words: &mut Words<'a>) -> Result<Self> {
        let mut args = Self::default();
        while let Some(word) = words.peek() {
            let keyword = run_keyword(word)?;
            words.take("a keyword")?;
            match keyword {
                "data_in" => args.data_in = Some(words.take_path("a file")?),
                "data_out" => args.data_out = Some(words.take_path("a file")?),
                "data_size_out" => args.data_size_out = Some(words.take_u32("output data size")?),
                "ctx_in" => args.ctx_in = Some(words.take_path("a file")?),
                "ctx_out" => args.ctx_out = Some(words.take_path("a file")?),
                "ctx_size_out" => {
                    args.ctx_size_out = Some(words.take_u32("output context size")?);
                }
                _ => args.repeat = Some(words.take_u32("repeat number")?),
            }
            if is_dash(args.data_in) && is_dash(args.ctx_in) {
                return Err(Failure::new(
                    "cannot use standard input for both data_in and ctx_in",
                ));
            }
        }
        Ok(args)
    }
}

/// Whether a path stands for standard input or output.
#[must_use]
pub fn is_dash(path: Option<&Path>) -> bool {
    path.is_some_and(|path| path.as_os_str() == "-")
}

/// Here a prefix must be unambiguous.
fn run_keyword(word: &OsStr) -> Result<&'static str> {
    let fitting: Vec<_> = RUN_WORDS
        .iter()
        .filter(|keyword| is_prefix(word, keyword))
        .collect();
    match fitting.as_slice() {
        [keyword] => Ok(keyword),
        [] => Err(Failure::new(format_args!(
            "expected no more arguments, 'data_in', 'data_out', 'data_size_out', 'ctx_in', \
             'ctx_out', 'ctx_size_out' or 'repeat', got: '{}'?",
            shown(word)
        ))),
        several => {
            let several: Vec<_> = several.iter().map(|word| format!("'{word}'")).collect();
            Err(Failure::new(format_args!(
                "ambiguous prefix: '{}' could be {}",
                shown(word),
                several.join(" or ")
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn run(words: &[&str]) -> std::result::Result<Option<u32>, String> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        RunArgs::parse(&mut Words::new(&words))
            .map(|args| args.repeat)
            .map_err(|error| error.message().unwrap())
    }

    #[test]
    fn ambiguous_prefixes_of_run_are_refused() {
        assert_eq!(
            run(&["data", "x"]),
            Err(
                "ambiguous prefix: 'data' could be 'data_in' or 'data_out' or 'data_size_out'"
                    .into()
            )
        );
        assert_eq!(run(&["data_in", "x", "r", "0x10"]), Ok(Some(16)));
        assert_eq!(
            run(&["data_in", "-", "ctx_in", "-"]),
            Err("cannot use standard input for both data_in and ctx_in".into())
        );
    }

    #[test]
    fn attach_types_have_short_names() {
        let parse = |word: &str| {
            let words = [OsString::from(word)];
            attach_type(&mut Words::new(&words)).ok()
        };
        assert_eq!(parse("sk_skb_verdict"), Some(AttachType::SK_SKB_VERDICT));
        assert_eq!(parse("msg"), Some(AttachType::SK_MSG_VERDICT));
        assert_eq!(parse("stream_p"), Some(AttachType::SK_SKB_STREAM_PARSER));
        assert_eq!(parse("flow_dissector"), Some(AttachType::FLOW_DISSECTOR));
        assert_eq!(parse("flow"), None);
    }
}
