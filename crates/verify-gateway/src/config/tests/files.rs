//! What a file's bytes and a URL's path have to do with it.

use super::*;

#[test]
fn a_mark_of_the_encoding_is_no_matter_in_either_format() {
    for (name, text) in [
        ("bom.toml", "\u{feff}[code]\nlength = 8\n"),
        ("bom.json", "\u{feff}{ \"code\": { \"length\": 8 } }"),
        ("bom-toml", "\u{feff}[code]\nlength = 8\n"),
        ("bom-json", "\u{feff}{ \"code\": { \"length\": 8 } }"),
    ] {
        let file = TempFile::new(name, text);
        let settings = with(&[], &file.args(), Goal::Serve).unwrap();
        assert_eq!(settings.policies.default.code.length, 8, "{name}");
    }
}

/// A webhook is signed with the whole URL: where nothing takes the path off, all of them are refused, and nobody would know why.
#[test]
fn a_path_of_the_public_url_is_noted() {
    for (url, path) in [
        ("https://verify.example.com", None),
        ("https://verify.example.com/", None),
        ("https://verify.example.com:8443", None),
        ("https://example.com/verify", Some("/verify")),
        ("https://example.com/verify/", Some("/verify")),
        ("https://example.com/a/b", Some("/a/b")),
    ] {
        let settings = serve_live(|vars| vars.push(("VERIFY_PUBLIC_URL", url.into()))).unwrap();
        let noted: Vec<_> = settings
            .notes
            .iter()
            .filter(|note| note.starts_with("VERIFY_PUBLIC_URL: "))
            .collect();
        let expected = path.map(|path| format!("VERIFY_PUBLIC_URL: has the path {path}; "));
        assert_eq!(noted.len(), usize::from(path.is_some()), "{url}: {noted:?}");
        assert!(
            expected.is_none_or(|expected| noted[0].starts_with(&expected)),
            "{url}: {noted:?}"
        );
    }
}
