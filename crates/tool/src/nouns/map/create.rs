//! `map create`: a new map, pinned.

use std::os::unix::ffi::OsStrExt;

use bpfsys::cmd::MapCreate;
use bpfsys::uapi::flags::MapFlags;
use bpfsys::{ErrorKind, MapFd, MapType, SysError, probe};
use nix::errno::Errno;
use nix::sys::resource::{Resource, setrlimit};

use crate::command::Context;
use crate::failure::{Failure, Result};
use crate::grammar::nearest;
use crate::handle::MapHandle;
use crate::hints;
use crate::pins;
use crate::render::escape::Escaped;
use crate::words::{Words, shown};

/// The longest name the kernel keeps, without its NUL.
const NAME_MAX: usize = 15;

/// What is to be created.
#[derive(Debug, Default)]
struct Spec {
    map_type: Option<MapType>,
    name: Option<Vec<u8>>,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    flags: u32,
    ifindex: u32,
    inner: Option<MapFd>,
}

/// `map create FILE type TYPE key N value N entries N name NAME [flags N] [inner_map MAP]
/// [offload_dev NAME]`
pub(super) fn run(context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
    words.require(7)?;
    let path = words.take_path("a path")?;
    let mut spec = Spec::default();
    while !words.is_empty() {
        spec.read(&mut words, context)?;
    }
    let name = spec
        .name
        .take()
        .ok_or_else(|| Failure::new("map name not specified"))?;
    let map_type = spec
        .map_type
        .ok_or_else(|| Failure::new("map type not specified"))?;
    let name = std::str::from_utf8(&name)
        .map_err(|error| Failure::because(format_args!("map name '{}'", Escaped(&name)), error))?;
    let map = create(map_type, name, &spec).map_err(|error| {
        let is_invalid = error.is(Errno::EINVAL);
        let failure = Failure::because("map create failed", error);
        let lacking = || {
            let probe = || probe::map_type(map_type);
            hints::for_lacking("maps of type", &map_type, map_type.since(), probe)
        };
        match is_invalid.then(lacking).flatten() {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        }
    })?;
    pins::pin(&map, path)?;
    context.output.done()
}

impl Spec {
    fn read(&mut self, words: &mut Words<'_>, context: &mut Context<'_, '_>) -> Result<()> {
        let keyword = words.peek().unwrap_or_default();
        if words.accept("type") {
            if self.map_type.is_some() {
                return Err(Failure::new("map type already specified"));
            }
            let word = words.take("a map type")?;
            // no prefixes here: a type that is added later must not change their meaning
            let known = word.to_str().and_then(MapType::from_name);
            self.map_type = Some(known.filter(|known| known.0 != 0).ok_or_else(|| {
                let message = format_args!("unrecognized map type: {}", shown(word));
                let known = MapType::ALL.iter().filter(|known| known.0 != 0);
                let names = known.filter_map(|known| known.name());
                match nearest(word, names) {
                    Some(near) => {
                        Failure::new(message).with_hint(format!("did you mean '{near}'?"))
                    }
                    None => Failure::new(message).with_hint(
                        "`rbpftool feature list_builtins map_types` lists what there is",
                    ),
                }
            })?);
        } else if words.accept("name") {
            let name = words.take("a name")?.as_bytes();
            if name.len() > NAME_MAX {
                context.output.remark(format_args!(
                    "Warning: map name is longer than {NAME_MAX} characters, it will be truncated."
                ));
            }
            self.name = Some(name.get(..NAME_MAX).unwrap_or(name).to_vec());
        } else if words.accept("key") {
            self.key_size = size(words, self.key_size, "key size")?;
        } else if words.accept("value") {
            self.value_size = size(words, self.value_size, "value size")?;
        } else if words.accept("entries") {
            self.max_entries = size(words, self.max_entries, "max entries")?;
        } else if words.accept("flags") {
            self.flags = size(words, self.flags, "flags")?;
        } else if words.next_is("dev") || words.next_is("offload_dev") {
            if words.next_is("dev") {
                context
                    .output
                    .remark("Warning: 'dev' is deprecated, use 'offload_dev'");
            }
            words.take("a keyword")?;
            if self.ifindex != 0 {
                return Err(Failure::new("offload device already specified"));
            }
            let word = words.take("a device")?;
            self.ifindex = nix::net::if_::if_nametoindex(word).map_err(|error| {
                Failure::because(
                    format_args!("unrecognized netdevice '{}'", shown(word)),
                    error,
                )
            })?;
        } else if words.accept("inner_map") {
            let map = MapHandle::parse(words)?.open_one(MapFlags::RDONLY)?;
            self.inner = Some(map);
        } else {
            return Err(Failure::new(format_args!("unknown arg {}", shown(keyword))));
        }
        Ok(())
    }
}

fn size(words: &mut Words<'_>, known: u32, what: &str) -> Result<u32> {
    if known != 0 {
        return Err(Failure::new(format_args!("{what} already specified")));
    }
    words.take_u32(what)
}

fn create(map_type: MapType, name: &str, spec: &Spec) -> std::result::Result<MapFd, SysError> {
    let attempt = || {
        let mut command =
            MapCreate::new(map_type, spec.key_size, spec.value_size, spec.max_entries)
                .name(name)
                .flags(MapFlags::from_bits_retain(spec.flags))
                .ifindex(spec.ifindex);
        if let Some(inner) = &spec.inner {
            command = command.inner_map(inner);
        }
        command.run()
    };
    match attempt() {
        // kernels before 5.11 count maps against the limit of locked memory
        Err(error) if error.kind() == ErrorKind::Denied && raise_memlock() => attempt(),
        result => result,
    }
}

fn raise_memlock() -> bool {
    let unlimited = nix::libc::RLIM_INFINITY;
    setrlimit(Resource::RLIMIT_MEMLOCK, unlimited, unlimited).is_ok()
}
