//! Text and JSON of every kind of type, from blobs made by hand.

use std::fmt::Write as _;

use btf::Btf;
use serde_json::{Value, json};

use super::dump::{types_as_json, types_as_text};
use super::source;
use super::view::BtfView;
use crate::holders::Holder;
use crate::render::{Format, Output, View};

/// A blob being made: records as words, names as they come.
struct Blob {
    words: Vec<u32>,
    strings: Vec<u8>,
    layout: Vec<[u8; 4]>,
}

impl Blob {
    fn new() -> Self {
        Self {
            words: Vec::new(),
            strings: vec![0],
            layout: Vec::new(),
        }
    }

    fn name(&mut self, name: &[u8]) -> u32 {
        if name.is_empty() {
            return 0;
        }
        let at = u32::try_from(self.strings.len()).unwrap();
        self.strings.extend_from_slice(name);
        self.strings.push(0);
        at
    }

    /// Adds a record: kind and flag, number of elements, size or type, and what follows.
    fn add(&mut self, name: &[u8], kind: u32, vlen: u32, size_or_type: u32, rest: &[u32]) {
        let name = self.name(name);
        self.words.extend([name, kind << 24 | vlen, size_or_type]);
        self.words.extend(rest);
    }

    fn bytes(&self, word: fn(u32) -> [u8; 4]) -> Vec<u8> {
        let types = u32::try_from(self.words.len() * 4).unwrap();
        let layout = u32::try_from(self.layout.len() * 4).unwrap();
        let strings = u32::try_from(self.strings.len()).unwrap();
        let header = if layout == 0 { 24 } else { 32 };
        let magic = word(0xeb9f_0100);
        // magic and version swap as one half-word and two bytes
        let mut bytes = if magic[0] == 0xeb {
            vec![0xeb, 0x9f, 1, 0]
        } else {
            vec![0x9f, 0xeb, 1, 0]
        };
        let sections = [header, 0, types, types + layout, strings];
        bytes.extend(sections.into_iter().flat_map(word));
        if layout != 0 {
            bytes.extend([types, layout].into_iter().flat_map(word));
        }
        bytes.extend(self.words.iter().flat_map(|n| word(*n)));
        bytes.extend(self.layout.iter().flatten());
        bytes.extend(&self.strings);
        bytes
    }
}

const FLAG: u32 = 0x80;

/// One type of every kind, in the order of the kinds, and a few that have two forms.
fn every_kind() -> Blob {
    let mut blob = Blob::new();
    let [a, b, c] = [b"a", b"b", b"c"].map(|name| blob.name(name));
    blob.add(b"int", 1, 0, 4, &[1 << 24 | 32]); // 1
    blob.add(b"", 2, 0, 1, &[]);
    blob.add(b"", 3, 0, 0, &[1, 1, 10]);
    blob.add(b"s", 4, 2, 8, &[a, 1, 0, 0, 2, 32]);
    blob.add(b"u", 5 | FLAG, 1, 4, &[b, 1, 3 << 24 | 5]); // 5
    blob.add(b"e", 6, 2, 4, &[a, 1, b, u32::MAX]);
    blob.add(b"f", 7, 0, 0, &[]);
    blob.add(b"t", 8, 0, 1, &[]);
    blob.add(b"", 9, 0, 1, &[]);
    blob.add(b"", 10, 0, 0, &[]); // 10
    blob.add(b"", 11, 0, 2, &[]);
    blob.add(b"fn", 12, 1, 13, &[]);
    blob.add(b"", 13, 2, 1, &[a, 1, 0, 0]);
    blob.add(b"v", 14, 0, 1, &[1]);
    blob.add(b".data", 15, 1, 4, &[14, 0, 4]); // 15
    blob.add(b"double", 16, 0, 8, &[]);
    blob.add(b"tag", 17, 0, 4, &[u32::MAX]);
    blob.add(b"user", 18, 0, 1, &[]);
    blob.add(b"e64", 19, 1, 8, &[c, 1, 2]);
    blob.add(b"e-", 6 | FLAG, 1, 4, &[a, u32::MAX]); // 20
    blob.add(b"e64-", 19 | FLAG, 1, 8, &[a, u32::MAX, u32::MAX]);
    blob.add(b"fu", 7 | FLAG, 0, 0, &[]);
    blob.add(b"empty", 4, 0, 0, &[]);
    blob
}

fn show(format: Format, write: impl FnOnce(&mut Output<'_>)) -> String {
    let mut out = Vec::new();
    let mut errors = Vec::new();
    let mut output = Output::new(format, &mut out, &mut errors);
    write(&mut output);
    output.flush().unwrap();
    drop(output);
    String::from_utf8(out).unwrap()
}

fn as_json(btf: &Btf<'_>, ids: &[u32]) -> String {
    show(Format::Json, |output| {
        types_as_json(output, btf, ids).unwrap();
    })
}

fn as_text(btf: &Btf<'_>, ids: &[u32]) -> String {
    show(Format::Text, |output| {
        types_as_text(output, btf, ids).unwrap();
    })
}

/// The types of a document, without its frame.
fn types(json: &str) -> Vec<Value> {
    let document: Value = serde_json::from_str(json).unwrap();
    document["types"].as_array().unwrap().clone()
}

#[test]
fn every_kind_has_its_keys() {
    let expected = [
        r#"{"id":1,"kind":"INT","name":"int","size":4,"bits_offset":0,"nr_bits":32,"encoding":"SIGNED"}"#,
        r#"{"id":2,"kind":"PTR","name":"(anon)","type_id":1}"#,
        r#"{"id":3,"kind":"ARRAY","name":"(anon)","type_id":1,"index_type_id":1,"nr_elems":10}"#,
        r#"{"id":4,"kind":"STRUCT","name":"s","size":8,"vlen":2,"members":[{"name":"a","type_id":1,"bits_offset":0},{"name":"(anon)","type_id":2,"bits_offset":32}]}"#,
        r#"{"id":5,"kind":"UNION","name":"u","size":4,"vlen":1,"members":[{"name":"b","type_id":1,"bits_offset":5,"bitfield_size":3}]}"#,
        r#"{"id":6,"kind":"ENUM","name":"e","encoding":"UNSIGNED","size":4,"vlen":2,"values":[{"name":"a","val":1},{"name":"b","val":4294967295}]}"#,
        r#"{"id":7,"kind":"FWD","name":"f","fwd_kind":"struct"}"#,
        r#"{"id":8,"kind":"TYPEDEF","name":"t","type_id":1}"#,
        r#"{"id":9,"kind":"VOLATILE","name":"(anon)","type_id":1}"#,
        r#"{"id":10,"kind":"CONST","name":"(anon)","type_id":0}"#,
        r#"{"id":11,"kind":"RESTRICT","name":"(anon)","type_id":2}"#,
        r#"{"id":12,"kind":"FUNC","name":"fn","type_id":13,"linkage":"global"}"#,
        r#"{"id":13,"kind":"FUNC_PROTO","name":"(anon)","ret_type_id":1,"vlen":2,"params":[{"name":"a","type_id":1},{"name":"(anon)","type_id":0}]}"#,
        r#"{"id":14,"kind":"VAR","name":"v","type_id":1,"linkage":"global"}"#,
        r#"{"id":15,"kind":"DATASEC","name":".data","size":4,"vlen":1,"vars":[{"type_id":14,"offset":0,"size":4}]}"#,
        r#"{"id":16,"kind":"FLOAT","name":"double","size":8}"#,
        r#"{"id":17,"kind":"DECL_TAG","name":"tag","type_id":4,"component_idx":-1}"#,
        r#"{"id":18,"kind":"TYPE_TAG","name":"user","type_id":1}"#,
        r#"{"id":19,"kind":"ENUM64","name":"e64","encoding":"UNSIGNED","size":8,"vlen":1,"values":[{"name":"c","val":8589934593}]}"#,
        r#"{"id":20,"kind":"ENUM","name":"e-","encoding":"SIGNED","size":4,"vlen":1,"values":[{"name":"a","val":-1}]}"#,
        r#"{"id":21,"kind":"ENUM64","name":"e64-","encoding":"SIGNED","size":8,"vlen":1,"values":[{"name":"a","val":-1}]}"#,
        r#"{"id":22,"kind":"FWD","name":"fu","fwd_kind":"union"}"#,
        r#"{"id":23,"kind":"STRUCT","name":"empty","size":0,"vlen":0,"members":[]}"#,
    ];
    for word in [u32::to_le_bytes, u32::to_be_bytes] {
        let btf = Btf::parse(every_kind().bytes(word)).unwrap();
        let whole = as_json(&btf, &[]);
        assert_eq!(whole, format!("{{\"types\":[{}]}}", expected.join(",")));
        types(&whole);
    }
}

#[test]
fn pretty_is_the_same_document() {
    let btf = Btf::parse(every_kind().bytes(u32::to_le_bytes)).unwrap();
    let pretty = show(Format::Pretty, |output| {
        types_as_json(output, &btf, &[]).unwrap();
    });
    assert_eq!(types(&pretty), types(&as_json(&btf, &[])));
    let laid_out = show(Format::Pretty, |output| {
        types_as_json(output, &btf, &[5, 23]).unwrap();
    });
    let expected = "\
{
    \"types\": [{
            \"id\": 5,
            \"kind\": \"UNION\",
            \"name\": \"u\",
            \"size\": 4,
            \"vlen\": 1,
            \"members\": [{
                    \"name\": \"b\",
                    \"type_id\": 1,
                    \"bits_offset\": 5,
                    \"bitfield_size\": 3
                }
            ]
        },{
            \"id\": 23,
            \"kind\": \"STRUCT\",
            \"name\": \"empty\",
            \"size\": 0,
            \"vlen\": 0,
            \"members\": []
        }
    ]
}";
    assert_eq!(laid_out, expected);
}

#[test]
fn void_and_kinds_of_the_future_are_unknown() {
    let mut blob = every_kind();
    blob.add(b"new", 30, 2, 77, &[1, 2, 3]);
    blob.layout = vec![[0; 4]; 31];
    blob.layout[30] = [4, 4, 0, 0];
    let btf = Btf::parse(blob.bytes(u32::to_le_bytes)).unwrap();
    assert_eq!(
        as_json(&btf, &[0, 24]),
        r#"{"types":[{"id":0,"kind":"UNKNOWN","name":"(anon)"},{"id":24,"kind":"UNKNOWN","kind_nr":30,"name":"new","vlen":2,"size_or_type":77}]}"#
    );
    assert_eq!(as_text(&btf, &[0]), "[0] UNKNOWN '(anon)'\n");
    assert!(as_text(&btf, &[24]).starts_with("[24] UNKNOWN"));
}

#[test]
fn names_of_any_bytes_make_valid_documents() {
    let mut blob = Blob::new();
    blob.add(b"a\"b\\c\x1b\x7f", 16, 0, 4, &[]);
    blob.add(b"\xff\xc3\xa9", 16, 0, 4, &[]);
    blob.words.extend([9999, 16 << 24, 4]);
    let btf = Btf::parse(blob.bytes(u32::to_le_bytes)).unwrap();
    let names: Vec<_> = types(&as_json(&btf, &[]))
        .iter()
        .map(|ty| ty["name"].clone())
        .collect();
    assert_eq!(
        names,
        [
            json!("a\"b\\c\x1b\x7f"),
            json!("\\xffé"),
            json!("(invalid)")
        ]
    );
    let text = as_text(&btf, &[]);
    assert!(!text.contains('\x1b'), "{text:?}");
}

#[test]
fn split_types_are_shown_without_their_base() {
    let base = Btf::parse(every_kind().bytes(u32::to_le_bytes)).unwrap();
    let base = std::sync::Arc::new(base);
    let mut blob = Blob::new();
    blob.strings.clear();
    let name = u32::try_from(every_kind().strings.len()).unwrap();
    blob.strings.extend_from_slice(b"own\0");
    blob.words.extend([name, 8 << 24, 1]);
    let split = Btf::parse_split(blob.bytes(u32::to_le_bytes), base).unwrap();
    assert_eq!(as_text(&split, &[]), "[24] TYPEDEF 'own' type_id=1\n");
    // a type of the base is found when it is asked for
    assert_eq!(
        as_text(&split, &[8, 24]),
        "[8] TYPEDEF 't' type_id=1\n[24] TYPEDEF 'own' type_id=1\n"
    );
}

#[test]
fn many_types_keep_their_order() {
    let mut blob = Blob::new();
    blob.add(b"int", 1, 0, 4, &[1 << 24 | 32]);
    for _ in 0..30_000 {
        blob.add(b"", 2, 0, 1, &[]);
    }
    let btf = Btf::parse(blob.bytes(u32::to_le_bytes)).unwrap();
    let mut expected = as_text(&btf, &[1]);
    for id in 2..btf.len() {
        writeln!(expected, "[{id}] PTR '(anon)' type_id=1").unwrap();
    }
    assert!(as_text(&btf, &[]) == expected);
    let shown = types(&as_json(&btf, &[]));
    assert_eq!(shown.len(), 30_001);
    assert!(shown.iter().zip(1..).all(|(ty, id)| ty["id"] == json!(id)));
}

/// Counts bytes and sees that none of the writes is long.
struct Pieces<'n>(&'n mut usize);

impl std::io::Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        assert!(bytes.len() < 2 * super::stream::LIMIT, "{}", bytes.len());
        *self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn members_that_share_a_long_name_are_written_in_pieces() {
    let mut blob = Blob::new();
    blob.add(&[b'n'; 4000], 1, 0, 4, &[32]);
    let members: Vec<u32> = (0..2000).flat_map(|at| [1, 1, at * 32]).collect();
    for _ in 0..2 {
        blob.add(b"s", 4, 2000, 8000, &members);
    }
    let bytes = blob.bytes(u32::to_le_bytes);
    let btf = Btf::parse(bytes.as_slice()).unwrap();
    for ids in [&[][..], &[1, 2, 3]] {
        let text = as_text(&btf, ids);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4003);
        assert!(lines[4002].ends_with(" type_id=1 bits_offset=63968"));
        let compact = types(&as_json(&btf, ids));
        assert_eq!(compact.len(), 3);
        for ty in &compact[1..] {
            let members = ty["members"].as_array().unwrap();
            assert_eq!(members.len(), 2000);
            assert_eq!(members[1999]["bits_offset"], 63968);
        }
        let pretty = show(Format::Pretty, |output| {
            types_as_json(output, &btf, ids).unwrap();
        });
        assert_eq!(types(&pretty), compact);
        // the layout is that of the whole document
        let members = pretty
            .lines()
            .filter(|line| *line == "                    \"type_id\": 1,");
        assert_eq!(members.count(), 4000);
        for format in [Format::Text, Format::Json, Format::Pretty] {
            let (mut total, mut errors) = (0, Vec::new());
            {
                let mut output = Output::new(format, Pieces(&mut total), &mut errors);
                match format {
                    Format::Text => types_as_text(&mut output, &btf, ids).unwrap(),
                    _ => types_as_json(&mut output, &btf, ids).unwrap(),
                }
                output.finish().unwrap();
            }
            assert!(total > 4000 * 4000);
        }
    }
}

#[test]
fn objects_are_listed_as_bpftool_does() {
    let text = |view: &BtfView| {
        let mut out = Vec::new();
        view.text(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    let kernel = BtfView {
        id: 1,
        size: 5_515_646,
        prog_ids: vec![],
        map_ids: vec![],
        pids: vec![],
        kernel: true,
        name: Some("vmlinux".into()),
    };
    assert_eq!(text(&kernel), "1: name [vmlinux]  size 5515646B\n");
    assert_eq!(
        serde_json::to_string(&kernel).unwrap(),
        r#"{"id":1,"size":5515646,"prog_ids":[],"map_ids":[],"kernel":true,"name":"vmlinux"}"#
    );
    let user = BtfView {
        id: 9,
        size: 100,
        prog_ids: vec![3, 4],
        map_ids: vec![5],
        pids: vec![Holder {
            pid: 77,
            comm: "drv".into(),
        }],
        kernel: false,
        name: None,
    };
    assert_eq!(
        text(&user),
        "9: name <anon>  size 100B  prog_ids 3,4  map_ids 5\n\tpids drv(77)\n"
    );
    assert_eq!(
        serde_json::to_string(&user).unwrap(),
        r#"{"id":9,"size":100,"prog_ids":[3,4],"map_ids":[5],"pids":[{"pid":77,"comm":"drv"}],"kernel":false}"#
    );
    let named = BtfView {
        name: Some("mod".into()),
        ..user
    };
    assert!(text(&named).starts_with("9: name mod  size 100B  "));
}

mod files {
    use super::*;

    struct TempFile(std::path::PathBuf);

    impl TempFile {
        fn new(name: &str, content: &[u8]) -> Self {
            let name = format!("rbpftool-btf-{}-{name}", std::process::id());
            let path = std::env::temp_dir().join(name);
            std::fs::write(&path, content).unwrap();
            Self(path)
        }

        fn load(&self) -> Result<String, (String, u8)> {
            source::read(&self.0, None)
                .map(|btf| as_text(&btf, &[]))
                .map_err(|failure| {
                    let message = failure.message().unwrap();
                    let path = self.0.to_str().unwrap();
                    (message.replace(path, "FILE"), failure.status())
                })
        }
    }

    impl Drop for TempFile {
        fn drop(&mut self) {
            drop(std::fs::remove_file(&self.0));
        }
    }

    /// An ELF file of 64 bits with these sections and nothing else.
    fn elf(big: bool, sections: &[(&str, &[u8])]) -> Vec<u8> {
        let half = |n: usize| {
            let n = u16::try_from(n).unwrap();
            if big {
                n.to_be_bytes()
            } else {
                n.to_le_bytes()
            }
        };
        let word = |n: usize| {
            let n = u32::try_from(n).unwrap();
            if big {
                n.to_be_bytes()
            } else {
                n.to_le_bytes()
            }
        };
        let long = |n: usize| {
            let n = n as u64;
            if big {
                n.to_be_bytes()
            } else {
                n.to_le_bytes()
            }
        };
        let mut names = vec![0];
        let mut body: Vec<u8> = Vec::new();
        let mut headers = vec![0; 64];
        let mut header = |name: usize, kind: usize, offset: usize, size: usize| {
            headers.extend(word(name));
            headers.extend(word(kind));
            headers.extend(long(0));
            headers.extend(long(0));
            headers.extend(long(offset));
            headers.extend(long(size));
            headers.extend([0; 8]);
            headers.extend(long(1));
            headers.extend(long(0));
        };
        for (name, content) in sections {
            header(names.len(), 1, 64 + body.len(), content.len());
            names.extend(name.bytes());
            names.push(0);
            body.extend(*content);
        }
        let own = names.len();
        names.extend(b".shstrtab\0");
        header(own, 3, 64 + body.len(), names.len());
        body.extend(&names);
        let mut file = b"\x7fELF".to_vec();
        file.extend([2, if big { 2 } else { 1 }, 1]);
        file.extend([0; 9]);
        file.extend(half(1));
        file.extend(half(247));
        file.extend(word(1));
        file.extend(long(0));
        file.extend(long(0));
        file.extend(long(64 + body.len()));
        file.extend(word(0));
        file.extend(half(64));
        file.extend(half(0));
        file.extend(half(0));
        file.extend(half(64));
        file.extend(half(sections.len() + 2));
        file.extend(half(sections.len() + 1));
        file.extend(body);
        file.extend(headers);
        file
    }

    fn one_type() -> Blob {
        let mut blob = Blob::new();
        blob.add(b"float", 16, 0, 4, &[]);
        blob
    }

    const ONE_TYPE: &str = "[1] FLOAT 'float' size=4\n";

    #[test]
    fn plain_files_and_sections_are_read_in_both_byte_orders() {
        for (big, word) in [
            (false, u32::to_le_bytes as fn(u32) -> [u8; 4]),
            (true, u32::to_be_bytes),
        ] {
            let types = one_type().bytes(word);
            assert_eq!(TempFile::new("plain", &types).load().unwrap(), ONE_TYPE);
            let file = elf(big, &[(".text", b"abc"), (".BTF", &types)]);
            assert_eq!(TempFile::new("elf", &file).load().unwrap(), ONE_TYPE);
        }
    }

    #[test]
    fn a_base_in_the_file_is_used() {
        let base = one_type().bytes(u32::to_le_bytes);
        let mut split = Blob::new();
        split.strings.clear();
        split.words.extend([1, 8 << 24, 1]);
        let file = elf(
            false,
            &[
                (".BTF", &split.bytes(u32::to_le_bytes)),
                (".BTF.base", &base),
            ],
        );
        assert_eq!(
            TempFile::new("split", &file).load().unwrap(),
            "[2] TYPEDEF 'float' type_id=1\n"
        );
    }

    #[test]
    fn what_is_wrong_with_a_file_is_told() {
        let failure = |name: &str, content: &[u8]| TempFile::new(name, content).load().unwrap_err();
        let (message, status) = failure("none", &elf(false, &[(".text", b"abc")]));
        assert_eq!(
            message,
            "failed to load BTF from FILE: the ELF file has no .BTF section"
        );
        assert_eq!(status, 195);
        let (message, status) = failure("text", b"hello, this is no type information\n");
        assert_eq!(
            message,
            "failed to load BTF from FILE: the file is neither BTF nor ELF"
        );
        assert_eq!(status, 234);
        for content in [&b""[..], b"\x9f\xeb", b"\x7fELF", b"\x7fELF\x02\x01\x01"] {
            assert_eq!(failure("short", content).1, 234, "{content:?}");
        }
        let types = one_type().bytes(u32::to_le_bytes);
        for cut in 0..types.len() {
            assert_eq!(failure("cut", &types[..cut]).1, 234);
        }
        let file = elf(false, &[(".BTF", &types)]);
        for cut in 0..file.len() {
            assert_ne!(failure("cut-elf", &file[..cut]).1, 0);
        }
        let missing = source::read(std::path::Path::new("/nonexistent"), None).unwrap_err();
        assert_eq!(missing.status(), 254);
    }

    #[test]
    fn lengths_that_cannot_be_are_told() {
        let types = one_type().bytes(u32::to_le_bytes);
        let good = elf(false, &[(".BTF", &types)]);
        // the header of the section is the last but one
        let size = good.len() - 128 + 32;
        for (length, what) in [
            (types.len() as u64, None),
            (good.len() as u64, Some("goes past the end of the file")),
            (u64::MAX, Some("goes past the end of the file")),
        ] {
            let mut file = good.clone();
            file[size..size + 8].copy_from_slice(&length.to_le_bytes());
            let result = TempFile::new("length", &file).load();
            let Some(what) = what else {
                assert_eq!(result.unwrap(), ONE_TYPE);
                continue;
            };
            let (message, status) = result.unwrap_err();
            let end = good.len();
            assert_eq!(
                message,
                format!(
                    "failed to load BTF from FILE: section .BTF of {length} bytes at offset 64 \
                     {what} ({end} bytes)"
                )
            );
            assert_eq!(status, 234);
        }
        // more than BTF can have: a hole, which takes no room
        let mut file = good;
        let length = u64::from(u32::MAX) + 1;
        file[size..size + 8].copy_from_slice(&length.to_le_bytes());
        let headers = file.split_off(file.len() - 192);
        let file = TempFile::new("hole", &file);
        let handle = std::fs::OpenOptions::new()
            .write(true)
            .open(&file.0)
            .unwrap();
        let place = 5_u64 << 30;
        std::os::unix::fs::FileExt::write_all_at(&handle, &headers, place).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&handle, &place.to_le_bytes(), 40).unwrap();
        let (message, status) = file.load().unwrap_err();
        assert_eq!(
            message,
            "failed to load BTF from FILE: section .BTF of 4294967296 bytes is longer than BTF can be"
        );
        assert_eq!(status, 234);
        let no_memory = source::reserve(&mut Vec::new(), u64::MAX).unwrap_err();
        assert_eq!(
            no_memory.to_string(),
            format!("no memory for {} bytes", u64::MAX)
        );
    }
}
