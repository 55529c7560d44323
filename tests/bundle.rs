//! Bundles: made, moved, verified; and every change found.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests are tests: a failure there is a failed test, and what is skipped is printed"
)]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::BINARY;

fn metaleak(arguments: &[&str]) -> Output {
    Command::new(BINARY)
        .args(arguments)
        .env_remove("METALEAK_KEY_PASSWORD")
        .output()
        .expect("metaleak starts")
}

fn good(arguments: &[&str]) -> String {
    let output = metaleak(arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn captures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("captures")
}

/// A folder with one of them alone.
fn one_capture(within: &Path) -> PathBuf {
    let captured = within.join("captured");
    std::fs::create_dir(&captured).unwrap();
    for end in ["pcapng.gz", "run.json"] {
        let name = format!("xmpp-profanity-starttls.{end}");
        std::fs::copy(captures().join(&name), captured.join(&name)).unwrap();
    }
    captured
}

/// A study of the stored captures, bundled; the folder and the archive.
fn bundled(more: &[&str]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report");
    let captures = captures();
    good(&["-q", "study", text(&captures), "-o", text(&report)]);
    let bundle = folder.path().join("evidence.zip");
    let mut arguments = vec!["-q", "bundle", text(&report), "-o", text(&bundle)];
    if !more.contains(&"--hashes-only") {
        arguments.extend(["--captures", text(&captures), "--with-secrets"]);
    }
    arguments.extend(more);
    let head = good(&arguments);
    assert_eq!(head.trim().len(), 64, "{head}");
    std::fs::remove_dir_all(&report).unwrap();
    (folder, bundle)
}

fn verified(bundle: &Path, more: &[&str]) -> (Option<i32>, serde_json::Value, String) {
    let mut arguments = vec!["verify", text(bundle), "--format", "json", "--fail-on", "difference"];
    arguments.extend(more);
    let output = metaleak(&arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_default(), said)
}

#[test]
fn a_bundle_is_made_moved_and_verified() {
    let (folder, bundle) = bundled(&[]);
    let moved = tempfile::tempdir().unwrap();
    let there = moved.path().join("moved.zip");
    std::fs::copy(&bundle, &there).unwrap();
    drop(folder);
    let (code, checked, said) = verified(&there, &[]);
    assert_eq!(code, Some(0), "{said} {checked}");
    assert_eq!(checked["differences"], serde_json::json!([]));
    assert_eq!(checked["rederived"]["state"], "done", "{checked}");
    assert!(checked["rederived"]["verdicts"].as_u64().unwrap() > 200, "{checked}");
    assert_eq!(checked["signature"], "none");
    let table = good(&["verify", text(&there)]);
    assert!(table.contains("derived anew as the report says"), "{table}");
}

#[test]
fn the_same_evidence_gives_the_same_archive_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let (a, b) = (bundled(&[]), bundled(&[]));
    assert_eq!(std::fs::read(&a.1).unwrap(), std::fs::read(&b.1).unwrap());
    assert_eq!(std::fs::metadata(&a.1).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn captures_may_stay_outside() {
    let (_folder, bundle) = bundled(&["--hashes-only"]);
    let (code, checked, _) = verified(&bundle, &[]);
    assert_eq!(code, Some(0));
    assert_eq!(checked["rederived"]["state"], "not-done");
    assert!(checked["rederived"]["why"].as_str().unwrap().contains("--captures"), "{checked}");
    let captures = captures();
    let (code, checked, said) = verified(&bundle, &["--captures", text(&captures)]);
    assert_eq!(checked["rederived"]["state"], "done", "{checked} {said}");
    // How the captures were made is in the run descriptions, which stay with the captures.
    assert_eq!(code, Some(0), "{checked}");
}

/// A capture with a Decryption Secrets Block would open to whoever has the bundle.
#[test]
fn captures_with_tls_secrets_are_put_in_only_where_that_is_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let captured = folder.path().join("captured");
    std::fs::create_dir(&captured).unwrap();
    for (name, from) in [
        ("keyed.pcapng", "tests/data/keys/tls13-aes128-gcm.pcapng"),
        ("dns.pcapng.zst", "captures/dns.pcapng.zst"),
    ] {
        std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join(from), captured.join(name)).unwrap();
    }
    let (report, bundle) = (folder.path().join("report"), folder.path().join("x.zip"));
    good(&["-q", "study", text(&captured), "-o", text(&report)]);
    for (with, expected) in [
        (false, vec!["captures/dns.pcapng.zst"]),
        (true, vec!["captures/dns.pcapng.zst", "captures/keyed.pcapng"]),
    ] {
        let mut put = vec!["bundle", text(&report), "-o", text(&bundle), "--captures", text(&captured)];
        put.extend(with.then_some("--with-secrets"));
        let output = metaleak(&put);
        assert!(output.status.success(), "{output:?}");
        let told = String::from_utf8_lossy(&output.stderr).contains("keyed.pcapng: carries TLS secrets");
        assert_eq!(told, !with, "{output:?}");
        let zip = zip::ZipArchive::new(std::fs::File::open(&bundle).unwrap()).unwrap();
        let names = zip.file_names().map(|name| name.unwrap().into_owned());
        let mut names: Vec<String> =
            names.filter(|n| n.starts_with("captures/") && n.contains(".pcapng")).collect();
        names.sort();
        assert_eq!(names, expected);
        std::fs::remove_file(&bundle).unwrap();
    }
}

/// A step of Marsaglia's xorshift: repeatable places without a crate.
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[test]
fn every_one_of_fifty_corruptions_is_found_and_named() {
    let (folder, bundle) = bundled(&[]);
    let whole = std::fs::read(&bundle).unwrap();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for n in 0..50 {
        let mut bytes = whole.clone();
        let at = next(&mut state) as usize % bytes.len();
        match n % 5 {
            0 => bytes[at] ^= 1 << (next(&mut state) % 8),
            1 => bytes[at] = bytes[at].wrapping_add(1 + (next(&mut state) % 255) as u8),
            2 => drop(bytes.remove(at)),
            3 => bytes.insert(at, 0x55),
            _ => bytes.truncate(at),
        }
        let broken = folder.path().join("broken.zip");
        std::fs::write(&broken, &bytes).unwrap();
        let (code, checked, said) = verified(&broken, &[]);
        assert!(
            matches!(code, Some(1 | 3)),
            "corruption {n} at {at} of {}: {code:?} {checked} {said}",
            whole.len()
        );
        let named = checked["differences"].as_array().is_some_and(|d| !d.is_empty());
        assert!(named || said.contains("broken.zip"), "corruption {n} at {at}: {checked} {said}");
        assert!(!said.contains("panicked"), "{said}");
    }
}

/// The archive with one file's bytes replaced, as someone would do who knows how bundles are made.
fn forged(bundle: &Path, target: &Path, change: &dyn Fn(&str, Vec<u8>) -> Vec<u8>) {
    use std::io::{Read as _, Write as _};
    let mut old = zip::ZipArchive::new(std::fs::File::open(bundle).unwrap()).unwrap();
    let mut new = zip::ZipWriter::new(std::fs::File::create(target).unwrap());
    for n in 0..old.len() {
        let mut file = old.by_index(n).unwrap();
        let name = file.name().unwrap().to_string();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        drop(file);
        new.start_file(&name, zip::write::SimpleFileOptions::default()).unwrap();
        new.write_all(&change(&name, bytes)).unwrap();
    }
    new.finish().unwrap();
}

#[test]
fn a_changed_file_is_named_and_a_forged_verdict_differs() {
    let (folder, bundle) = bundled(&[]);
    let broken = folder.path().join("forged.zip");
    forged(&bundle, &broken, &|name, mut bytes| {
        if name == "claims/signal.toml" {
            bytes.push(b'\n');
        }
        bytes
    });
    let (code, checked, _) = verified(&broken, &[]);
    assert_eq!(code, Some(1));
    // Without --fail-on the exit code says only that the bundle could be read; the difference is told all the same.
    let output = metaleak(&["verify", text(&broken)]);
    let (said, warned) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{warned}");
    assert!(said.contains("CHANGED") && warned.contains("--fail-on difference"), "{said}{warned}");
    let named: Vec<&str> =
        checked["differences"].as_array().unwrap().iter().map(|d| d["file"].as_str().unwrap()).collect();
    assert!(named.contains(&"claims/signal.toml"), "{checked}");
    // Whoever writes a whole new bundle around a false verdict: its hashes hold, the captures speak against it.
    let report = folder.path().join("false");
    good(&["-q", "study", text(&captures()), "-o", text(&report)]);
    let path = report.join("report.json");
    let mut json: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let claim =
        json["claims"].as_array_mut().unwrap().iter_mut().find(|c| c["verdict"] == "inconclusive").unwrap();
    claim["verdict"] = "supported".into();
    claim["reason"] = "".into();
    let id = claim["id"].as_str().unwrap().to_owned();
    std::fs::write(&path, serde_json::to_vec(&json).unwrap()).unwrap();
    let captures = captures();
    good(&[
        "-q",
        "bundle",
        text(&report),
        "-o",
        text(&broken),
        "--captures",
        text(&captures),
        "--with-secrets",
    ]);
    let (code, checked, _) = verified(&broken, &[]);
    assert_eq!((code, &checked["differences"]), (Some(1), &serde_json::json!([])));
    let differing = checked["rederived"]["differing"].as_array().unwrap();
    assert_eq!(differing.len(), 1, "{checked}");
    assert_eq!(differing[0]["file"], id);
}

/// Whoever bundles a changed page or a changed fact of the report gets every hash right; the captures and the page's own making speak against it.
#[test]
fn a_forged_page_and_a_forged_country_differ() {
    let folder = tempfile::tempdir().unwrap();
    let (report, captured) = (folder.path().join("report"), one_capture(folder.path()));
    let bundle = folder.path().join("x.zip");
    let put =
        ["-q", "bundle", text(&report), "-o", text(&bundle), "--captures", text(&captured), "--with-secrets"];
    let again = |lang: &str| {
        let _ = std::fs::remove_dir_all(&report);
        good(&["-q", "study", text(&captured), "-o", text(&report), "--lang", lang]);
    };
    // Pages of both languages are drawn again.
    for lang in ["de", "en"] {
        again(lang);
        good(&put);
        let (code, checked, said) = verified(&bundle, &[]);
        assert_eq!(code, Some(0), "{lang}: {checked} {said}");
        assert!(checked["pages"]["same"].as_u64().unwrap() > 1, "{checked}");
    }
    let differing = |of: &str, checked: &serde_json::Value| -> Vec<String> {
        let list = checked[of]["differing"].as_array().unwrap();
        list.iter()
            .map(|d| format!("{}: {}", d["file"].as_str().unwrap(), d["what"].as_str().unwrap()))
            .collect()
    };
    let page = report.join("report.html");
    let html = std::fs::read_to_string(&page).unwrap();
    std::fs::write(&page, html.replacen("badge inconclusive", "badge supported", 1)).unwrap();
    good(&put);
    let (code, checked, _) = verified(&bundle, &[]);
    assert_eq!((code, &checked["differences"]), (Some(1), &serde_json::json!([])));
    assert_eq!(differing("pages", &checked), ["report.html: is not what comes of the report"]);
    assert_eq!(differing("rederived", &checked), Vec::<String>::new());
    // Without the captures the stored report still tells.
    good(&["-q", "bundle", text(&report), "-o", text(&bundle), "--hashes-only"]);
    let (code, checked, _) = verified(&bundle, &[]);
    assert_eq!((code, differing("pages", &checked).len()), (Some(1), 1), "{checked}");

    again("en");
    let path = report.join("report.json");
    let mut json: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    json["destinations"][0]["country"] = "KP".into();
    json["flows"][0]["added"] = true.into();
    std::fs::write(&path, serde_json::to_vec(&json).unwrap()).unwrap();
    good(&put);
    let (code, checked, _) = verified(&bundle, &[]);
    assert_eq!((code, &checked["differences"]), (Some(1), &serde_json::json!([])));
    let told = differing("rederived", &checked);
    assert!(
        told.iter().any(|d| d.starts_with("report.json/destinations/0/country: the captures give")),
        "{told:?}"
    );
    assert!(told.contains(&"report.json/flows/0/added: the captures do not give it".to_owned()), "{told:?}");
    assert_eq!(told.len(), 2, "{told:?}");
    let table = good(&["verify", text(&bundle)]);
    assert!(table.contains("DIFFERS") && table.contains("/destinations/0/country"), "{table}");
}

#[test]
fn a_key_of_another_kind_is_told_from_no_signature() {
    let keys = tempfile::tempdir().unwrap();
    let pem = ed25519_compact::KeyPair::from_seed(ed25519_compact::Seed::new([7; 32]));
    let pair = minisign::KeyPair::generate_unencrypted_keypair().unwrap();
    let file = |name: &str, content: String| {
        let path = keys.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let secret = file("key", pair.sk.to_box(None).unwrap().into_string());
    let public = file("pub.pem", pem.pk.to_pem());
    let (_folder, bundle) = bundled(&["--sign", text(&secret)]);
    let (code, checked, said) = verified(&bundle, &["--key", text(&public)]);
    assert_eq!((code, &checked["signature"]), (Some(1), &"other-kind".into()), "{said}");
    let what = checked["differences"][0]["what"].as_str().unwrap();
    assert!(what.contains("the kinds differ") && what.contains("minisign"), "{what}");
    let table = good(&["verify", text(&bundle), "--key", text(&public)]);
    assert!(table.contains("by a key of another kind"), "{table}");
}

#[test]
fn criteria_of_ones_own_are_in_the_bundle_and_count_again() {
    let folder = tempfile::tempdir().unwrap();
    let (report, captures) = (folder.path().join("report"), captures());
    let own = folder.path().join("own.toml");
    let criterion = "[[criterion]]\nid = \"clear\"\nweight = 3\ntext = { en = \"Nothing in clear\", de = \"Nichts im Klartext\" }\nclaims = [\"*.every-byte-encrypted\"]\n";
    std::fs::write(&own, criterion).unwrap();
    good(&["-q", "study", text(&captures), "--criteria", text(&own), "-o", text(&report)]);
    let bundle = folder.path().join("own.zip");
    let put =
        ["-q", "bundle", text(&report), "-o", text(&bundle), "--captures", text(&captures), "--with-secrets"];
    let refused = metaleak(&put);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--criteria"), "{refused:?}");
    good(&[&put[..], &["--criteria", text(&own)]].concat());
    let zip = zip::ZipArchive::new(std::fs::File::open(&bundle).unwrap()).unwrap();
    let names = zip.file_names().map(|name| name.unwrap().into_owned());
    let names: Vec<String> = names.filter(|name| name.starts_with("criteria/")).collect();
    assert_eq!(names, ["criteria/1-own.toml", "criteria/2-comparison.toml"]);
    // The criteria's file is not there any more: the bundle has it.
    std::fs::remove_file(&own).unwrap();
    let (code, checked, said) = verified(&bundle, &[]);
    assert_eq!(code, Some(0), "{checked} {said}");
    // A report that counts otherwise than its criteria say is found, though every hash holds.
    std::fs::write(&own, criterion).unwrap();
    let path = report.join("report.json");
    let mut json: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    json["comparison"]["totals"][0]["met"] = 30.into();
    std::fs::write(&path, serde_json::to_vec(&json).unwrap()).unwrap();
    good(&[&put[..], &["--criteria", text(&own)]].concat());
    let (code, checked, _) = verified(&bundle, &[]);
    assert_eq!((code, &checked["differences"]), (Some(1), &serde_json::json!([])));
    let differing = checked["rederived"]["differing"].as_array().unwrap();
    assert_eq!(differing.len(), 1, "{checked}");
    assert!(differing[0]["file"].as_str().unwrap().starts_with("total of "), "{checked}");
}

#[test]
fn rules_of_ones_own_are_in_the_bundle_and_count_again() {
    let folder = tempfile::tempdir().unwrap();
    let (report, captured) = (folder.path().join("report"), one_capture(folder.path()));
    // Takes the header of a stream for an identifier: wrong, and it decides a claim, so that who does not know the rule finds another verdict.
    let own = folder.path().join("own.toml");
    let rule = "schema = 1\n[[rule]]\nid = \"header\"\nkind = \"identifier\"\nseverity = \"high\"\nconfidence = \"high\"\n\
        text = { en = \"header of a stream\", de = \"Kopf eines Streams\" }\nanchors = [\"jabber:client\"]\nregex = '(?P<value>jabber:client)'\n\
        yes = [\"xmlns='jabber:client' version='1.0'\"]\nno = [\"a jabber client is a program\"]\n";
    std::fs::write(&own, rule).unwrap();
    good(&["-q", "study", text(&captured), "--rules", text(&own), "-o", text(&report)]);
    let json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(report.join("report.json")).unwrap()).unwrap();
    let claims = json["claims"].as_array().unwrap();
    let decided = claims.iter().find(|c| c["id"] == "conversations.no-identifiers-in-clear").unwrap();
    assert_eq!(decided["verdict"], "contradicted", "{decided}");
    let bundle = folder.path().join("own.zip");
    let put = ["-q", "bundle", text(&report), "-o", text(&bundle), "--captures", text(&captured)];
    let refused = metaleak(&put);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--rules"), "{refused:?}");
    let other = folder.path().join("other.toml");
    std::fs::write(&other, rule.replace("version", "Version")).unwrap();
    let refused = metaleak(&[&put[..], &["--rules", text(&own), "--rules", text(&other)]].concat());
    assert_eq!(refused.status.code(), Some(2), "a file that was not used");
    good(&[&put[..], &["--rules", text(&own)]].concat());
    let zip = zip::ZipArchive::new(std::fs::File::open(&bundle).unwrap()).unwrap();
    let inside: Vec<String> = zip.file_names().map(|name| name.unwrap().into_owned()).collect();
    assert!(inside.iter().any(|name| name == "rules/1-own.toml"), "{inside:?}");
    // The file is not there any more: the bundle has it.
    std::fs::remove_file(&own).unwrap();
    let (code, checked, said) = verified(&bundle, &[]);
    assert_eq!(code, Some(0), "{checked} {said}");
    assert_eq!(checked["rederived"]["state"], "done", "{checked}");
    let broken = folder.path().join("broken.zip");
    forged(&bundle, &broken, &|name, mut bytes| {
        if name == "rules/1-own.toml" {
            bytes[0] ^= 1;
        }
        bytes
    });
    let (code, checked, _) = verified(&broken, &[]);
    assert_eq!(code, Some(1));
    let named: Vec<&str> =
        checked["differences"].as_array().unwrap().iter().map(|d| d["file"].as_str().unwrap()).collect();
    assert!(named.contains(&"rules/1-own.toml"), "{checked}");
    assert_eq!(checked["rederived"]["state"], "not-done", "{checked}");
}

fn run(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|o| o.status.success())
}

#[test]
fn openssl_checks_what_a_pem_key_signed() {
    if !run("openssl", &["version"]) {
        println!("skipped: openssl is not installed (scripts/setup.sh test)");
        return;
    }
    let keys = tempfile::tempdir().unwrap();
    let (secret, public) = (keys.path().join("key.pem"), keys.path().join("pub.pem"));
    assert!(run("openssl", &["genpkey", "-algorithm", "ed25519", "-out", text(&secret)]));
    assert!(run("openssl", &["pkey", "-in", text(&secret), "-pubout", "-out", text(&public)]));
    let (folder, bundle) = bundled(&["--sign", text(&secret)]);
    let (code, checked, said) = verified(&bundle, &["--key", text(&public)]);
    assert_eq!((code, &checked["signature"]), (Some(0), &"good".into()), "{said}");
    assert_eq!(verified(&bundle, &[]).1["signature"], "unchecked");
    let mut zip = zip::ZipArchive::new(std::fs::File::open(&bundle).unwrap()).unwrap();
    for name in ["manifest.json", "manifest.json.sig"] {
        let mut file = std::fs::File::create(folder.path().join(name)).unwrap();
        std::io::copy(&mut zip.by_name(name).unwrap(), &mut file).unwrap();
    }
    let (manifest, signature) =
        (folder.path().join("manifest.json"), folder.path().join("manifest.json.sig"));
    let check = ["pkeyutl", "-verify", "-pubin", "-inkey", text(&public), "-rawin", "-in", text(&manifest)];
    assert!(run("openssl", &[&check[..], &["-sigfile", text(&signature)]].concat()));
    // A bundle that was made anew around other bytes cannot carry the signature over.
    let broken = folder.path().join("broken.zip");
    forged(&bundle, &broken, &|name, mut bytes| {
        if name == "manifest.json" {
            bytes.push(b'\n');
        }
        bytes
    });
    let (code, checked, _) = verified(&broken, &["--key", text(&public)]);
    assert_eq!((code, &checked["signature"]), (Some(1), &"bad".into()));
}

#[test]
fn minisign_checks_what_its_key_signed() {
    if !run("minisign", &["-v"]) {
        println!("skipped: minisign is not installed (scripts/setup.sh test)");
        return;
    }
    let keys = tempfile::tempdir().unwrap();
    let (secret, public) = (keys.path().join("key"), keys.path().join("key.pub"));
    assert!(run("minisign", &["-G", "-W", "-s", text(&secret), "-p", text(&public)]));
    let (folder, bundle) = bundled(&["--sign", text(&secret)]);
    let (code, checked, said) = verified(&bundle, &["--key", text(&public)]);
    assert_eq!((code, &checked["signature"]), (Some(0), &"good".into()), "{said}");
    let mut zip = zip::ZipArchive::new(std::fs::File::open(&bundle).unwrap()).unwrap();
    for name in ["manifest.json", "manifest.json.minisig"] {
        let mut file = std::fs::File::create(folder.path().join(name)).unwrap();
        std::io::copy(&mut zip.by_name(name).unwrap(), &mut file).unwrap();
    }
    let manifest = folder.path().join("manifest.json");
    assert!(run("minisign", &["-V", "-p", text(&public), "-m", text(&manifest)]));
}

#[test]
fn what_is_missing_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report");
    let captures = captures();
    good(&["-q", "study", text(&captures), "-o", text(&report)]);
    let bundle = folder.path().join("x.zip");
    let said = |arguments: &[&str], code: i32| {
        let output = metaleak(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let error = said(&["bundle", text(&report), "-o", text(&bundle)], 2);
    assert!(error.contains("--captures") && error.contains("--hashes-only"), "{error}");
    let error = said(&["bundle", text(&report), "-o", text(&bundle), "--captures", text(folder.path())], 3);
    assert!(error.contains("SHA-256"), "{error}");
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("claims/signal.toml");
    let error =
        said(&["bundle", text(&report), "-o", text(&bundle), "--hashes-only", "--claims", text(&own)], 2);
    assert!(error.contains("--claims"), "{error}");
    let error = said(&["verify", text(&own)], 3);
    assert!(error.contains("signal.toml"), "{error}");
    assert!(!bundle.exists());
}
