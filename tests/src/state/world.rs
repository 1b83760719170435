//! One of everything, for tools to list and dump.

use std::os::fd::AsRawFd as _;

use anyhow::{Context as _, Result};
use bpfsys::cmd::{MapCreate, MapFreeze, MapUpdateElem, ObjPin, ProgBindMap};
use bpfsys::uapi::flags::MapFlags;
use bpfsys::{MapFd, MapType, ProgFd};
use btf::Btf;

use super::Needs;
use super::links::{self, Held};
use super::maps::{Content, Recipe, recipes};
use super::progs::{described, returning, simples, with_globals};
use super::types::{Types, everything};
use crate::Private;

/// A named object.
#[derive(Debug)]
pub struct Named<T> {
    /// What it is, for messages.
    pub label: String,
    /// The object.
    pub fd: T,
}

/// Programs, maps, links and BTF, held for as long as this lives.
#[derive(Debug)]
pub struct World {
    /// The BTF they are described by.
    pub types: Types,
    /// Maps.
    pub maps: Vec<Named<MapFd>>,
    /// Programs.
    pub progs: Vec<Named<ProgFd>>,
    /// Links.
    pub links: Vec<Held>,
    /// What could not be made, with the reason.
    pub lacking: Vec<(String, String)>,
}

impl World {
    /// Makes all that this kernel can.
    ///
    /// # Errors
    ///
    /// If not even described maps and programs can be made, or nothing can be pinned; single
    /// kinds that cannot are in [`World::lacking`].
    pub fn make(private: &Private) -> Result<Self> {
        let types = Types::load()?;
        let lacking = types
            .lacking
            .iter()
            .map(|(what, why)| ((*what).to_owned(), why.clone()))
            .collect();
        let mut world = Self {
            types,
            maps: Vec::new(),
            progs: Vec::new(),
            links: Vec::new(),
            lacking,
        };
        world.plain_maps();
        world.typed_maps();
        world.sections();
        world.programs();
        world.nested_maps();
        world.links(private);
        world.pins(private)?;
        Ok(world)
    }

    fn lacks(&mut self, label: &str, error: &anyhow::Error) {
        self.lacking.push((label.to_owned(), format!("{error:#}")));
    }

    /// Keeps a map, or the reason why there is none.
    fn map_or_why(&mut self, label: &str, made: Result<MapFd>) {
        match made {
            Ok(fd) => self.maps.push(Named {
                label: label.to_owned(),
                fd,
            }),
            Err(e) => self.lacks(label, &e),
        }
    }

    /// Keeps a program, or the reason why there is none.
    fn prog_or_why(&mut self, label: &str, made: Result<ProgFd>) {
        match made {
            Ok(fd) => self.progs.push(Named {
                label: label.to_owned(),
                fd,
            }),
            Err(e) => self.lacks(label, &e),
        }
    }

    /// One of each type, filled where that is possible, without BTF.
    fn plain_maps(&mut self) {
        for recipe in recipes() {
            let made = filled(&recipe, &self.types).context(recipe.needs());
            self.map_or_why(&format!("plain {}", recipe.map_type), made);
        }
    }

    fn typed_maps(&mut self) {
        for (label, map_type, flags) in [
            ("typed hash", MapType::HASH, MapFlags::NO_PREALLOC),
            ("typed array", MapType::ARRAY, MapFlags::empty()),
            (
                "typed per-CPU hash",
                MapType::PERCPU_HASH,
                MapFlags::empty(),
            ),
            (
                "typed per-CPU array",
                MapType::PERCPU_ARRAY,
                MapFlags::empty(),
            ),
            ("typed LRU hash", MapType::LRU_HASH, MapFlags::empty()),
        ] {
            let made = of_everything(&self.types, map_type, flags);
            self.map_or_why(label, made);
        }
        let made = of_pairs(&self.types);
        self.map_or_why("typed hash, struct key", made);
        if let Some(measured) = self.types.measured {
            let made = of_floats(&self.types, measured);
            self.map_or_why("typed array, floats", made);
        }
    }

    fn sections(&mut self) {
        let t = &self.types.sections;
        for (name, section, value, flags) in [
            (".data", t.data, &[9; 16][..], MapFlags::MMAPABLE),
            (
                ".rodata",
                t.rodata,
                b"\x05\0\0\0\x2a\0\0\0nobody\0\0",
                MapFlags::RDONLY_PROG,
            ),
            (".bss", t.bss, &[0; 8][..], MapFlags::MMAPABLE),
        ] {
            let made = variables(&self.types, name, section, value, flags);
            self.map_or_why(name, made);
        }
    }

    fn map(&self, label: &str) -> Result<&MapFd> {
        self.maps
            .iter()
            .find(|m| m.label == label)
            .map(|m| &m.fd)
            .with_context(|| format!("there is no {label}"))
    }

    fn programs(&mut self) {
        for kind in simples() {
            let made = returning(&kind, kind.ret).context(Needs(kind.since));
            self.prog_or_why(kind.name, made);
        }
        let full = self.described().and_then(|full| {
            ProgBindMap::new(&full, self.map(".rodata")?)
                .run()
                .context("bind metadata")?;
            Ok(full)
        });
        self.prog_or_why("described", full);
        let twin = self.described();
        self.prog_or_why("described twin", twin);
        let globals = self
            .map(".data")
            .and_then(|data| with_globals(&[data, self.map(".rodata")?]));
        self.prog_or_why("with globals", globals);
    }

    fn described(&self) -> Result<ProgFd> {
        described(&self.types, self.map("plain array")?)
    }

    /// Maps of programs and of maps get something in them.
    fn nested_maps(&mut self) {
        let inner = MapCreate::new(MapType::HASH, 4, 8, 16).name("inner").run();
        self.map_or_why("inner", inner.map_err(Into::into));
        let socket = self.progs.iter().find(|p| p.label == "t_socket");
        let inner = self.map("inner").map(std::os::fd::AsRawFd::as_raw_fd);
        let socket = socket.map(|p| p.fd.as_raw_fd()).context("no program");
        let mut refused = Vec::new();
        for (outer, key, inside) in [
            ("plain array_of_maps", 1_u32, &inner),
            ("plain hash_of_maps", 7, &inner),
            ("plain prog_array", 2, &socket),
            ("plain devmap", 0, &Ok(1)),
            ("plain devmap_hash", 5, &Ok(1)),
        ] {
            let filled = self.map(outer).and_then(|map| {
                let fd = inside.as_ref().map_err(|e| anyhow::anyhow!("{e:#}"))?;
                MapUpdateElem::new(map, &key.to_ne_bytes(), &fd.to_ne_bytes()).run()?;
                Ok(())
            });
            if let Err(e) = filled {
                refused.push((format!("content of {outer}"), format!("{e:#}")));
            }
        }
        self.lacking.extend(refused);
    }

    fn links(&mut self, private: &Private) {
        let kernel = std::fs::read("/sys/kernel/btf/vmlinux").context("read the kernel's BTF");
        let kernel = match kernel.and_then(|b| Btf::parse(b).context("parse the kernel's BTF")) {
            Ok(kernel) => kernel,
            Err(e) => return self.lacks("links that need BTF", &e),
        };
        let attempts = match self.map("plain hash") {
            Ok(map) => links::one_of_each(private, &kernel, &self.types, map),
            Err(e) => return self.lacks("links", &e),
        };
        for (label, made) in attempts {
            match made {
                Ok(held) => self.links.push(held),
                Err(e) => self.lacks(&format!("link {label}"), &e),
            }
        }
        match links::congestion_control(&kernel, &self.types, "rbpf_test_map") {
            Ok((map, progs)) => {
                self.map_or_why("struct_ops", Ok(map));
                for fd in progs {
                    self.prog_or_why("struct_ops", Ok(fd));
                }
            }
            Err(e) => self.lacks("struct_ops map", &e),
        }
    }

    fn pins(&self, private: &Private) -> Result<()> {
        let dir = private.bpffs();
        std::fs::create_dir(dir.join("sub")).context("make a directory in bpffs")?;
        for (n, map) in self.maps.iter().enumerate().filter(|(n, _)| n % 5 == 0) {
            ObjPin::new(&map.fd, &dir.join(format!("map_{n}"))).run()?;
        }
        for (n, prog) in self.progs.iter().enumerate().filter(|(n, _)| n % 4 == 0) {
            ObjPin::new(&prog.fd, &dir.join(format!("sub/prog_{n}"))).run()?;
        }
        if let Some(link) = self.links.first() {
            ObjPin::new(&link.link, &dir.join("link_0")).run()?;
        }
        Ok(())
    }

    /// Pins everything below `dir`, a directory in a bpffs, and closes every
    /// descriptor: the objects live on without a process that holds them.
    ///
    /// Programs of links and maps inside maps stay without a pin of their own.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub fn let_go(self, dir: &std::path::Path) -> Result<()> {
        std::fs::create_dir(dir).context("make a directory in bpffs")?;
        for (n, map) in self.maps.iter().filter(|m| m.label != "inner").enumerate() {
            ObjPin::new(&map.fd, &dir.join(format!("map_{n}"))).run()?;
        }
        for (n, prog) in self
            .progs
            .iter()
            .filter(|p| p.label != "t_socket")
            .enumerate()
        {
            ObjPin::new(&prog.fd, &dir.join(format!("prog_{n}"))).run()?;
        }
        for (n, held) in self.links.iter().enumerate() {
            ObjPin::new(&held.link, &dir.join(format!("link_{n}"))).run()?;
        }
        Ok(())
    }
}

/// A map of the recipe with three elements, if it holds bytes.
fn filled(recipe: &Recipe, types: &Types) -> Result<MapFd> {
    // Maps whose elements cannot be listed have a name of their own, so that
    // the others can be dumped by theirs.
    let name = match recipe.content {
        Content::Queue | Content::Other => "odd",
        Content::Bytes | Content::Slots | Content::Objects => "plain",
    };
    let map = recipe.make(name, types)?;
    match recipe.content {
        Content::Bytes | Content::Slots | Content::Queue => recipe.fill(&map, 3)?,
        Content::Objects | Content::Other => {}
    }
    Ok(map)
}

/// A map of `struct everything`, with three elements.
fn of_everything(types: &Types, map_type: MapType, flags: MapFlags) -> Result<MapFd> {
    let size = super::types::EVERYTHING;
    let map = MapCreate::new(map_type, 4, size, 3)
        .name("typed")
        .flags(flags)
        .btf(&types.fd, types.int, types.everything)
        .run()?;
    let copies = map.shape()?.value_buf_len / usize::try_from(size)?;
    for n in 0..3_u8 {
        let value: Vec<u8> = (0..copies)
            .flat_map(|cpu| everything(n ^ cpu.to_le_bytes()[0]))
            .collect();
        MapUpdateElem::new(&map, &u32::from(n).to_ne_bytes(), &value).run()?;
    }
    Ok(map)
}

fn of_pairs(types: &Types) -> Result<MapFd> {
    let map = MapCreate::new(MapType::HASH, 8, 8, 2)
        .name("pair_to_pair")
        .btf(&types.fd, types.pair, types.pair)
        .run()?;
    MapUpdateElem::new(&map, &[1, 0, 0, 0, 2, 0, 0, 0], &[255; 8]).run()?;
    Ok(map)
}

fn of_floats(types: &Types, measured: u32) -> Result<MapFd> {
    let map = MapCreate::new(MapType::ARRAY, 4, 16, 1)
        .name("measured")
        .btf(&types.fd, types.int, measured)
        .run()?;
    let mut value = 7_i32.to_ne_bytes().to_vec();
    value.extend_from_slice(&1.5_f32.to_ne_bytes());
    value.extend_from_slice(&(-0.25_f64).to_ne_bytes());
    MapUpdateElem::new(&map, &[0; 4], &value).run()?;
    Ok(map)
}

/// The map of a section of global variables.
fn variables(
    types: &Types,
    name: &str,
    section: u32,
    value: &[u8],
    flags: MapFlags,
) -> Result<MapFd> {
    let map = MapCreate::new(MapType::ARRAY, 4, u32::try_from(value.len())?, 1)
        .name(&format!("demo{name}"))
        .flags(flags)
        .btf(&types.fd, 0, section)
        .run()?;
    MapUpdateElem::new(&map, &[0; 4], value).run()?;
    if name == ".rodata" {
        MapFreeze::new(&map).run()?;
    }
    Ok(map)
}
