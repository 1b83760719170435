//! From an object to lines: load, attach, read.

use crate::show::{self, Shape};
use crate::{chain, notes};
use bpfsys::MapType;
use loader::attach::{AutoOptions, Links, glob};
use loader::kernel::{LoadOptions, Loaded};
use loader::maps::{Entries, PerfBuffer, PerfBufferOptions, PerfEvent, RingBuffer};
use loader::model::{MapOrigin, Object};
use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

/// What the words ask for.
#[derive(Debug, Default)]
struct Wanted<'w> {
    set: Vec<(&'w str, &'w str)>,
    only: Vec<&'w str>,
    without: Vec<&'w str>,
    record: Option<&'w str>,
    types: Option<&'w Path>,
    events: Option<u64>,
    time: Option<Duration>,
    maps: bool,
}

impl<'w> Wanted<'w> {
    fn parse(words: &[&'w str]) -> Result<Self, Box<dyn Error>> {
        let mut wanted = Self::default();
        let mut words = words.iter().copied();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("'{word}' needs a value"));
            match word {
                "set" => {
                    let value = value()?;
                    let pair = value.split_once('=');
                    let pair = pair.ok_or(format!("'{value}' is no VAR=VALUE"))?;
                    wanted.set.push(pair);
                }
                "only" => wanted.only.push(value()?),
                "without" => wanted.without.push(value()?),
                "type" => wanted.record = Some(value()?),
                "types" => wanted.types = Some(Path::new(value()?)),
                "events" => wanted.events = Some(value()?.parse()?),
                "seconds" => wanted.time = Some(Duration::from_secs(value()?.parse()?)),
                "maps" => wanted.maps = true,
                _ => return Err(format!("unknown word '{word}'").into()),
            }
        }
        Ok(wanted)
    }
}

pub(crate) fn run(path: &Path, words: &[&str]) -> Result<(), Box<dyn Error>> {
    let wanted = Wanted::parse(words)?;
    let mut object = loader::open(path)?;
    for (variable, value) in &wanted.set {
        object.set_variable(variable, value)?;
    }
    select(&mut object, &wanted)?;
    let types = match wanted.types {
        Some(file) => Some(loader::target::btf_from_file(file)?.into()),
        None => object.btf.clone(),
    };
    let shape = types.and_then(|types| Shape::find(types, wanted.record.unwrap_or("event")));
    if let (None, Some(name)) = (&shape, wanted.record) {
        return Err(format!("there is no struct '{name}'").into());
    }
    let loaded = object.load(&LoadOptions::new())?;
    notes(&loaded);
    // Readers first: perf buffers lose what is written before they are there.
    let readers = Reader::all(&loaded)?;
    let links = attach(&loaded)?;
    println!("attached {} programs", links.len());
    read(readers, shape.as_ref(), &wanted)?;
    links.detach()?;
    if wanted.maps {
        elements(&object, &loaded)?;
    }
    Ok(())
}

/// Says which programs are loaded.
fn select(object: &mut Object, wanted: &Wanted<'_>) -> Result<(), Box<dyn Error>> {
    let fits = |pattern: &str, name: &str| glob::matches(pattern.as_bytes(), name.as_bytes());
    for pattern in wanted.only.iter().chain(&wanted.without) {
        if !object.programs().iter().any(|p| fits(pattern, &p.name)) {
            return Err(format!("'{pattern}' is the name of no program").into());
        }
    }
    for program in object.programs_mut() {
        let fits = |pattern: &&str| fits(pattern, &program.name);
        if !wanted.only.is_empty() {
            program.autoload = wanted.only.iter().any(fits);
        }
        program.autoload &= !wanted.without.iter().any(fits);
    }
    Ok(())
}

/// Attaches what attaches by itself. `Loaded::attach` is the same in one call, for those who want
/// all programs attached or none.
fn attach(loaded: &Loaded) -> Result<Links, Box<dyn Error>> {
    let mut links = Links::new();
    for program in loaded.programs() {
        let name = program.name();
        match loaded.attach_program(name, &AutoOptions::default()) {
            Ok(Some(link)) => links.push(link),
            Ok(None) => println!("program {name}: '{}' names no place", program.section()),
            Err(error) => println!("program {name}: not attached: {}", chain(&error)),
        }
    }
    if links.is_empty() {
        return Err("no program is attached".into());
    }
    Ok(links)
}

/// What records come through.
enum Reader {
    Ring(RingBuffer),
    Perf(PerfBuffer),
}

impl Reader {
    /// One for each map that has records, with the map's name.
    fn all(loaded: &Loaded) -> Result<Vec<(&str, Self)>, Box<dyn Error>> {
        let mut readers = Vec::new();
        for map in loaded.maps() {
            let Some(fd) = map.fd() else { continue };
            let reader = match fd.info()?.type_() {
                MapType::RINGBUF => Self::Ring(RingBuffer::new(fd)?),
                MapType::PERF_EVENT_ARRAY => {
                    Self::Perf(PerfBuffer::new(fd, &PerfBufferOptions::new())?)
                }
                _ => continue,
            };
            readers.push((map.symbol(), reader));
        }
        Ok(readers)
    }

    /// Waits for records, at most so long, and hands each on with the bytes that may follow it.
    fn poll(
        &mut self,
        time: Duration,
        each: &mut dyn FnMut(Vec<u8>, usize),
    ) -> Result<(), Box<dyn Error>> {
        match self {
            Self::Ring(ring) => ring.poll(Some(time), |record| each(record.to_vec(), 0))?,
            Self::Perf(perf) => perf.poll(Some(time), |cpu, event| match event {
                PerfEvent::Sample { data, .. } => each(data.to_vec(), 7),
                PerfEvent::Lost { count, .. } => println!("{count} records lost on cpu {cpu}"),
                _ => {}
            })?,
        };
        Ok(())
    }
}

/// Prints records until there are enough or the time is up.
fn read(
    mut readers: Vec<(&str, Reader)>,
    shape: Option<&Shape>,
    wanted: &Wanted<'_>,
) -> Result<(), Box<dyn Error>> {
    // A short turn for each of several: one that has nothing must not keep the others waiting.
    let turn = Duration::from_millis(100);
    let start = Instant::now();
    let mut seen = 0;
    let enough = |seen| wanted.events.is_some_and(|events| seen >= events);
    loop {
        let left = match wanted.time {
            Some(time) => time.saturating_sub(start.elapsed()),
            None => turn,
        };
        if left.is_zero() || enough(seen) {
            return Ok(());
        }
        if readers.is_empty() {
            std::thread::sleep(turn.min(left));
        }
        for (name, reader) in &mut readers {
            reader.poll(turn.min(left), &mut |bytes, spare| {
                if !enough(seen) {
                    seen += 1;
                    let shape = shape.filter(|shape| shape.fits(bytes.len(), spare));
                    let text = match shape {
                        Some(shape) => shape.show(bytes),
                        None => show::hex(&bytes),
                    };
                    println!("{name}: {text}");
                }
            })?;
        }
    }
}

/// Prints what is in hashes and arrays, each key and value as its type says.
fn elements(object: &Object, loaded: &Loaded) -> Result<(), Box<dyn Error>> {
    for map in loaded.maps() {
        let origin = object.maps().get(map.index().index());
        let (Some(fd), Some(origin)) = (map.fd(), origin) else {
            continue;
        };
        let spec = &origin.spec;
        let typed = |id, bytes: &[u8]| match &object.btf {
            Some(btf) if id != btf::TypeId::VOID => show::value(btf, id, bytes),
            _ => show::hex(bytes),
        };
        match (&origin.origin, spec.map_type) {
            (MapOrigin::Constants | MapOrigin::Kconfig, _) => {}
            (origin, MapType::HASH | MapType::LRU_HASH | MapType::ARRAY) => {
                let mut entries = Entries::open(fd)?;
                while let Some((key, value)) = entries.next()? {
                    let value = typed(spec.value_type, value?);
                    match origin {
                        MapOrigin::Data => println!("{}: {value}", map.symbol()),
                        _ => println!("{}[{}]: {value}", map.symbol(), typed(spec.key_type, key)),
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}
