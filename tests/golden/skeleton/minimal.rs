// Written by rbpftool; what is changed here is lost when it is written again.

#[allow(unused_imports, reason = "generated")]
pub use self::skeleton::*;

#[allow(dead_code, missing_docs, unreachable_pub, reason = "generated")]
#[allow(non_camel_case_types, non_snake_case, reason = "names of C")]
#[allow(non_upper_case_globals, clippy::all, reason = "names of C")]
#[allow(clippy::pedantic, clippy::restriction, reason = "generated")]
mod skeleton {
    use ::loader::skeleton::support as sk;

    /// The object file.
    pub const OBJECT: &[u8] = b"\
(bytes)\
";

    /// The object's name.
    pub const NAME: &str = "minimal_bpf";

    const SHAPE: u64 = 0x139c4aa7a5b6a4e5;

    /// Object `minimal_bpf` in the kernel. Dropping it detaches and unloads.
    #[derive(Debug)]
    pub struct MinimalSkel {
        /// What is attached.
        pub links: MinimalLinks,
        loaded: sk::Loaded,
    }

    impl MinimalSkel {
        /// Reads the object; nothing is in the kernel yet.
        pub fn open() -> sk::Result<OpenMinimal> {
            let object = sk::open(OBJECT, NAME, SHAPE)?;
            Ok(OpenMinimal { object })
        }

        /// Opens and loads.
        pub fn open_and_load() -> sk::Result<Self> {
            Self::open()?.load()
        }

        /// Attaches what is not attached yet and says itself where: programs by their sections,
        /// and values of the kernel's types. When one fails, none is attached that was not before.
        pub fn attach(&mut self) -> sk::Result<()> {
            let old = &self.links;
            let mut new = MinimalLinks::default();
            if old.pass.is_none() {
                new.pass = sk::attach(&self.loaded, 0)?;
            }
            if let Some(link) = new.pass {
                self.links.pass = Some(link);
            }
            Ok(())
        }

        /// Detaches everything.
        pub fn detach(&mut self) {
            self.links = MinimalLinks::default();
        }

        /// Its programs.
        pub fn progs(&self) -> MinimalProgs<'_> {
            MinimalProgs(&self.loaded)
        }

        /// All of it.
        pub fn loaded(&self) -> &sk::Loaded {
            &self.loaded
        }

        /// All of it, to pin and to take descriptors.
        pub fn loaded_mut(&mut self) -> &mut sk::Loaded {
            &mut self.loaded
        }
    }

    /// Object `minimal_bpf` before it is loaded: all of it can be changed.
    #[derive(Debug)]
    pub struct OpenMinimal {
        object: sk::model::Object,
    }

    impl OpenMinimal {
        /// Makes the maps and loads the programs.
        pub fn load(self) -> sk::Result<MinimalSkel> {
            self.load_with(&sk::LoadOptions::new())
        }

        /// The same, with options.
        pub fn load_with(self, options: &sk::LoadOptions) -> sk::Result<MinimalSkel> {
            let loaded = self.object.load(options)?;
            Ok(MinimalSkel {
                links: MinimalLinks::default(),
                loaded,
            })
        }

        /// Its programs.
        pub fn progs(&mut self) -> OpenMinimalProgs<'_> {
            OpenMinimalProgs(&mut self.object)
        }

        /// All of it but the variables, whose values come from here when it is loaded.
        pub fn object(&mut self) -> &mut sk::model::Object {
            &mut self.object
        }
    }

    /// Each program of the loaded object; none if it was not made or was taken.
    #[derive(Clone, Copy, Debug)]
    pub struct MinimalProgs<'a>(&'a sk::Loaded);

    impl<'a> MinimalProgs<'a> {
        /// The program `pass`.
        pub fn pass(self) -> Option<&'a sk::ProgFd> {
            sk::prog_fd(self.0, 0)
        }
    }

    /// Each program of the object, to change it.
    #[derive(Debug)]
    pub struct OpenMinimalProgs<'a>(&'a mut sk::model::Object);

    impl OpenMinimalProgs<'_> {
        /// The program `pass`.
        pub fn pass(&mut self) -> &mut sk::model::Program {
            sk::program_mut(self.0, 0)
        }
    }

    /// What is attached; dropping one detaches it.
    #[derive(Debug, Default)]
    pub struct MinimalLinks {
        pub pass: Option<sk::Link>,
    }
}
