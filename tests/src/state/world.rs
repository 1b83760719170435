//! One of everything, for tools to list and dump.

use std::os::fd::AsRawFd as _;

use anyhow::{Context as _, Result};
use bpfsys::cmd::{MapCreate, MapFreeze, MapUpdateElem, ObjPin, ProgBindMap};
use bpfsys::uapi::flags::MapFlags;
use bpfsys::{MapFd, MapType, ProgFd};
use btf::Btf;

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
    /// If something fails that every supported kernel has; the rest is in
    /// [`World::lacking`].
    pub fn make(private: &Private) -> Result<Self> {
        let types = Types::load().context("load the BTF")?;
        let mut world = Self {
            types,
            maps: Vec::new(),
            progs: Vec::new(),
            links: Vec::new(),
            lacking: Vec::new(),
        };
        world.plain_maps();
        world.typed_maps()?;
        world.programs()?;
        world.nested_maps()?;
        world.links(private);
        world.pins(private)?;
        Ok(world)
    }

    fn lacks(&mut self, label: &str, error: &anyhow::Error) {
        self.lacking.push((label.to_owned(), format!("{error:#}")));
    }

    fn add_map(&mut self, label: impl Into<String>, fd: MapFd) {
        self.maps.push(Named {
            label: label.into(),
            fd,
        });
    }

    /// One of each type, filled where that is possible, without BTF.
    fn plain_maps(&mut self) {
        for recipe in recipes() {
            let label = format!("plain {}", recipe.map_type);
            match filled(&recipe, &self.types) {
                Ok(map) => self.add_map(label, map),
                Err(e) => self.lacks(&label, &e),
            }
        }
    }

    fn typed_maps(&mut self) -> Result<()> {
        let t = &self.types;
        let size = super::types::EVERYTHING;
        let mut made = Vec::new();
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
            let map = MapCreate::new(map_type, 4, size, 3)
                .name("typed")
                .flags(flags)
                .btf(&t.fd, t.int, t.everything)
                .run()
                .with_context(|| format!("make a {label}"))?;
            let copies = map.shape()?.value_buf_len / usize::try_from(size)?;
            for n in 0..3_u8 {
                let value: Vec<u8> = (0..copies)
                    .flat_map(|cpu| everything(n ^ cpu.to_le_bytes()[0]))
                    .collect();
                MapUpdateElem::new(&map, &u32::from(n).to_ne_bytes(), &value).run()?;
            }
            made.push((label, map));
        }
        let pair = MapCreate::new(MapType::HASH, 8, 8, 2)
            .name("pair_to_pair")
            .btf(&t.fd, t.pair, t.pair)
            .run()?;
        MapUpdateElem::new(&pair, &[1, 0, 0, 0, 2, 0, 0, 0], &[255; 8]).run()?;
        made.push(("typed hash, struct key", pair));
        let measured = MapCreate::new(MapType::ARRAY, 4, 16, 1)
            .name("measured")
            .btf(&t.fd, t.int, t.measured)
            .run()?;
        let mut value = 7_i32.to_ne_bytes().to_vec();
        value.extend_from_slice(&1.5_f32.to_ne_bytes());
        value.extend_from_slice(&(-0.25_f64).to_ne_bytes());
        MapUpdateElem::new(&measured, &[0; 4], &value).run()?;
        made.push(("typed array, floats", measured));
        for (name, section, value, flags) in [
            (".data", t.sections.data, &[9; 16][..], MapFlags::MMAPABLE),
            (
                ".rodata",
                t.sections.rodata,
                b"\x05\0\0\0\x2a\0\0\0nobody\0\0",
                MapFlags::RDONLY_PROG,
            ),
            (".bss", t.sections.bss, &[0; 8][..], MapFlags::MMAPABLE),
        ] {
            let map = MapCreate::new(MapType::ARRAY, 4, u32::try_from(value.len())?, 1)
                .name(&format!("demo{name}"))
                .flags(flags)
                .btf(&t.fd, 0, section)
                .run()
                .with_context(|| format!("make {name}"))?;
            MapUpdateElem::new(&map, &[0; 4], value).run()?;
            if name == ".rodata" {
                MapFreeze::new(&map).run()?;
            }
            made.push((name, map));
        }
        for (label, map) in made {
            self.add_map(label, map);
        }
        Ok(())
    }

    fn map(&self, label: &str) -> Result<&MapFd> {
        self.maps
            .iter()
            .find(|m| m.label == label)
            .map(|m| &m.fd)
            .with_context(|| format!("there is no {label}"))
    }

    fn programs(&mut self) -> Result<()> {
        for kind in simples() {
            match returning(&kind, kind.ret) {
                Ok(fd) => self.progs.push(Named {
                    label: kind.name.to_owned(),
                    fd,
                }),
                Err(e) => self.lacks(kind.name, &e),
            }
        }
        let counted = self.map("plain array")?;
        let full = described(&self.types, counted)?;
        ProgBindMap::new(&full, self.map(".rodata")?)
            .run()
            .context("bind metadata")?;
        let globals = with_globals(&[self.map(".data")?, self.map(".rodata")?])?;
        let twin = described(&self.types, counted)?;
        self.progs.push(Named {
            label: "described".to_owned(),
            fd: full,
        });
        self.progs.push(Named {
            label: "described twin".to_owned(),
            fd: twin,
        });
        self.progs.push(Named {
            label: "with globals".to_owned(),
            fd: globals,
        });
        Ok(())
    }

    /// Maps of programs and of maps get something in them.
    fn nested_maps(&mut self) -> Result<()> {
        let inner = MapCreate::new(MapType::HASH, 4, 8, 16)
            .name("inner")
            .run()?;
        let put = |map: &MapFd, key: u32, fd: i32| {
            MapUpdateElem::new(map, &key.to_ne_bytes(), &fd.to_ne_bytes()).run()
        };
        for (outer, key) in [("plain array_of_maps", 1), ("plain hash_of_maps", 7)] {
            put(self.map(outer)?, key, inner.as_raw_fd())
                .with_context(|| format!("fill {outer}"))?;
        }
        let socket = self
            .progs
            .iter()
            .find(|p| p.label == "t_socket")
            .context("no program")?;
        put(self.map("plain prog_array")?, 2, socket.fd.as_raw_fd()).context("fill prog_array")?;
        put(self.map("plain devmap")?, 0, 1).context("fill devmap")?;
        put(self.map("plain devmap_hash")?, 5, 1).context("fill devmap_hash")?;
        self.add_map("inner", inner);
        Ok(())
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
        for (label, attempt) in attempts {
            match attempt {
                Ok(held) => self.links.push(held),
                Err(e) => self.lacks(&format!("link {label}"), &e),
            }
        }
        match links::congestion_control(&kernel, &self.types, "rbpf_test_map") {
            Ok((map, progs)) => {
                self.add_map("struct_ops", map);
                for fd in progs {
                    self.progs.push(Named {
                        label: "struct_ops".to_owned(),
                        fd,
                    });
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
