//! The byte strings under which a canary's value can appear on the wire: all chains of transforms up to three deep.
//!
//! Takes one value; gives its [`Form`]s, each once, always in the same order. Chains are made by the places that transforms declare:
//! an innermost one or a digest, and around it up to two (three around the plain value) of the others. The matcher keeps only a
//! fingerprint of each form's end, and makes the forms for a canary that seems to be there: [`endings`] gives the ends alone, without
//! writing the outermost layer whole, which is most of the work.

use std::collections::HashSet;
use std::hash::BuildHasher as _;

use super::canary::MIN_VALUE;
use super::spelling::{self, Spelling};
use super::transform::{
    Case, Changing, DIGESTS, Depth, END, Escape, KeyOver, Keys, Place, Rest, TRANSFORMS, Transform,
};

/// Bytes of a value that are looked for where transforms are nested: its beginning identifies it.
const NESTED_VALUE: usize = 48;
/// A nested form below this would turn up by chance.
const MIN_NESTED: usize = 10;
/// What is left of eight bytes of a digest without line breaks, at least.
const MIN_DIGEST: usize = 6;
/// Lengths to which digests are cut, in bytes.
pub(super) const CUTS: [usize; 3] = [8, 10, 16];

/// One layer of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Label {
    /// The name of a transform, digest or spelling.
    Name(&'static str),
    /// A known key, by its place.
    Key(u16),
}

/// One way to write one value.
#[derive(Clone, Debug)]
pub(super) struct Form {
    /// What to search, without line breaks.
    pub(super) bytes: Vec<u8>,
    /// How to compare.
    pub(super) case: Case,
    /// Layers, outermost first.
    pub(super) chain: Vec<Label>,
    /// Of a digest: how much of `bytes` is there when it is cut, and to how many bytes.
    pub(super) cuts: Vec<(usize, usize)>,
    /// The layer that is the digest.
    digest: usize,
    /// The value has line breaks of its own.
    pub(super) broken: bool,
    /// The value differs in case already.
    pub(super) cased: bool,
}

impl Form {
    fn plain(bytes: &[u8]) -> Form {
        Form {
            bytes: bytes.to_vec(),
            case: Case::LETTERS,
            chain: Vec::new(),
            cuts: Vec::new(),
            digest: 0,
            broken: false,
            cased: false,
        }
    }

    /// Bytes of which nothing may be missing.
    pub(super) fn least(&self) -> usize {
        self.cuts.first().map_or(self.bytes.len(), |(length, _)| *length)
    }

    /// The value is spelled in another way than it was given.
    pub(super) fn is_spelled(&self) -> bool {
        self.chain.iter().any(|l| matches!(l, Label::Name(n) if spelling::IDS.iter().any(|(id, _)| id == n)))
    }

    /// The chain in words, when the first `length` bytes were seen.
    pub(super) fn encoding(&self, length: usize, keys: &Keys) -> Vec<String> {
        let cut = if length >= self.bytes.len() {
            None
        } else {
            self.cuts.iter().rev().find(|(least, _)| *least <= length).map(|(_, bytes)| *bytes)
        };
        let name = |label: &Label| match label {
            Label::Name(name) => (*name).to_owned(),
            Label::Key(place) => {
                keys.iter().nth(usize::from(*place)).map_or_else(String::new, |k| k.name().to_owned())
            }
        };
        let layer = |(at, label)| match cut {
            Some(bytes) if at == self.digest => format!("{}/{bytes}", name(label)),
            _ => name(label),
        };
        self.chain.iter().enumerate().map(layer).collect()
    }

    /// As the matcher sees it: without line breaks.
    fn seen(mut self) -> Form {
        if self.bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
            let whole = unbroken(&self.bytes);
            for (length, _) in &mut self.cuts {
                *length = unbroken(self.bytes.get(..*length).unwrap_or_default()).len();
            }
            self.broken = true;
            self.bytes = whole;
        }
        self
    }

    /// This form written by a transform, put to `all`.
    fn write(&self, by: &Transform, depth: Depth, all: &mut Vec<Form>) {
        let whole = (by.write)(&self.bytes, depth);
        // A part in which nothing has to be escaped is written as it is.
        let part = |length: usize| {
            let bytes = self.bytes.get(..length).unwrap_or_default();
            let written = (by.write)(bytes, depth).into_iter().map(|w| w.bytes);
            let kept = !matches!(depth, Depth::Value | Depth::Nested);
            written.chain(kept.then(|| bytes.to_vec())).collect::<Vec<_>>()
        };
        let parts: Vec<_> = self.cuts.iter().map(|(length, _)| part(*length)).collect();
        for written in whole {
            // A cut form is a beginning of the whole one, or it cannot be searched with it.
            let cuts: Vec<(usize, usize)> = self
                .cuts
                .iter()
                .zip(&parts)
                .filter_map(|((_, bytes), part)| {
                    let fitting = part.iter().filter(|p| written.bytes.starts_with(p)).map(Vec::len).max()?;
                    (fitting >= CUTS[0]).then_some((fitting, *bytes))
                })
                .collect();
            let mut chain = Vec::with_capacity(self.chain.len() + 1);
            chain.push(Label::Name(written.id));
            chain.extend_from_slice(&self.chain);
            all.push(Form {
                case: written.case.around(self.case),
                bytes: written.bytes,
                chain,
                cuts,
                digest: self.digest + 1,
                broken: false,
                cased: self.cased,
            });
        }
    }
}

/// Collects forms, each once.
struct Collector {
    forms: Vec<Form>,
    seen: HashSet<u64, foldhash::fast::FixedState>,
}

impl Collector {
    /// Keeps a form, unless it is too short or an equal one is there.
    fn add(&mut self, form: Form, least: usize) {
        let form = form.seen();
        if form.least() < least {
            return;
        }
        // Where case carries meaning, texts that differ in it are two.
        let exact = form.case.rest == Rest::Exact;
        let state = foldhash::fast::FixedState::with_seed(1);
        let key = if exact {
            state.hash_one((true, &form.bytes))
        } else {
            state.hash_one((false, form.bytes.to_ascii_lowercase()))
        };
        if self.seen.insert(key) {
            self.forms.push(form);
        }
    }
}

/// Where forms go.
trait Sink {
    /// Takes a form, unless it is shorter than `least`.
    fn take(&mut self, form: Form, least: usize);

    /// Takes what each of the transforms writes around each of the forms, unless it is shorter than `least`.
    fn around(&mut self, forms: &[Form], by: &dyn Fn(&Transform) -> bool, depth: Depth, least: usize);

    /// A digest as far as it has to be known.
    fn digest(&self, form: Form) -> Form;
}

impl Sink for Collector {
    fn take(&mut self, form: Form, least: usize) {
        self.add(form, least);
    }

    fn around(&mut self, forms: &[Form], by: &dyn Fn(&Transform) -> bool, depth: Depth, least: usize) {
        for form in around(forms, by, depth) {
            self.add(form, least);
        }
    }

    fn digest(&self, form: Form) -> Form {
        form
    }
}

/// Gives the ends of forms to whoever wants them.
struct Endings<'e> {
    each: &'e mut dyn FnMut(&[u8]),
    /// The length of the longest form, of which nothing may be missing.
    longest: usize,
}

impl Sink for Endings<'_> {
    fn take(&mut self, form: Form, least: usize) {
        let form = form.seen();
        let must = form.bytes.get(..form.least()).unwrap_or_default();
        self.give(must, must.len(), least);
    }

    fn around(&mut self, forms: &[Form], by: &dyn Fn(&Transform) -> bool, depth: Depth, least: usize) {
        // The longest first: of a text without escapes the last bytes decide how all that is written around it ends.
        let mut longest_first: Vec<&Form> = forms.iter().collect();
        longest_first.sort_unstable_by_key(|form| std::cmp::Reverse(form.bytes.len()));
        let mut seen: HashSet<&[u8], foldhash::fast::FixedState> = HashSet::default();
        for form in longest_first {
            let changing = Changing::of(&form.bytes, depth);
            let ending = form.bytes.get(form.bytes.len().saturating_sub(END)..).unwrap_or_default();
            if changing.plain && !seen.insert(ending) {
                continue;
            }
            for by in changing.transforms().filter(|t| by(t)) {
                by.endings(&form.bytes, depth, &mut |end, length| self.give(end, length, least));
            }
        }
    }

    /// Where it is cut first: all that is searched has this beginning. Of what is written around it the same holds, because a transform
    /// writes the beginning of a text as the beginning of what it makes of the text.
    fn digest(&self, mut form: Form) -> Form {
        form.bytes.truncate(form.least());
        Form { cuts: Vec::new(), ..form }
    }
}

impl Endings<'_> {
    /// `end` is a text's end, or all of a text that is not much longer than an end.
    fn give(&mut self, end: &[u8], length: usize, least: usize) {
        let is_break = |byte: &u8| matches!(byte, b'\r' | b'\n');
        if end.iter().any(is_break) {
            // No transform that gives ends alone leaves a line break in them: this is the whole text.
            let whole = unbroken(end);
            if whole.len() >= least {
                self.longest = self.longest.max(whole.len());
                (self.each)(&whole);
            }
        } else if length >= least {
            self.longest = self.longest.max(length);
            (self.each)(end);
        }
    }
}

/// Each once that has the same bytes and means the same.
fn distinct(forms: Vec<Form>) -> Vec<Form> {
    let state = foldhash::fast::FixedState::with_seed(1);
    let mut seen: HashSet<u64, foldhash::fast::FixedState> = HashSet::default();
    let mut kept = forms;
    kept.retain(|form| seen.insert(state.hash_one((&form.bytes, &form.chain, form.case, &form.cuts))));
    kept
}

/// The bytes as the matcher sees them: without line breaks, and without a `=` before one.
pub(super) fn unbroken(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b'\r' | b'\n' if out.last() == Some(&b'=') => drop(out.pop()),
            b'\r' | b'\n' => {}
            _ => out.push(byte),
        }
    }
    out
}

/// The forms, and those with capital hex digits: within another layer a capital is another text.
fn both_cases(forms: Vec<Form>) -> Vec<Form> {
    let capital = |form: &Form| {
        let bytes = match form.chain.first() {
            Some(Label::Name("hex")) => form.bytes.to_ascii_uppercase(),
            _ if form.case.escape == Escape::None => return None,
            _ => form.case.capitals(&form.bytes),
        };
        (bytes != form.bytes).then(|| Form { bytes, ..form.clone() })
    };
    let capitals: Vec<Form> = forms.iter().filter_map(capital).collect();
    [forms, capitals].concat()
}

fn around(forms: &[Form], place: impl Fn(&Transform) -> bool, depth: Depth) -> Vec<Form> {
    let changing: Vec<Changing> = forms.iter().map(|form| Changing::of(&form.bytes, depth)).collect();
    let mut all = Vec::with_capacity(forms.len());
    for (at, by) in TRANSFORMS.iter().enumerate().filter(|(_, t)| place(t)) {
        for (form, _) in forms.iter().zip(&changing).filter(|(_, changing)| changing.by(at)) {
            form.write(by, depth, &mut all);
        }
    }
    all
}

/// All forms of a value.
pub(super) fn forms(value: &str, keys: &Keys) -> Vec<Form> {
    let mut all = Collector { forms: Vec::new(), seen: HashSet::default() };
    chains(value, keys, &mut all);
    all.forms
}

/// The last [`super::transform::END`] bytes or more of the part of each form that must be there, all of a shorter one, without line breaks; gives the
/// length of the longest part. An ending may come again, and there may be some of texts that are no form.
pub(super) fn endings(value: &str, keys: &Keys, each: &mut dyn FnMut(&[u8])) -> usize {
    let mut all = Endings { each, longest: 0 };
    chains(value, keys, &mut all);
    all.longest
}

/// Gives all forms of a value to `all`, of equal ones the one that shall give its name first.
fn chains(value: &str, keys: &Keys, all: &mut impl Sink) {
    let texts = |t: &Transform| t.place != Place::Innermost;
    let anywhere = |t: &Transform| t.place == Place::Anywhere;
    let plain = Form::plain(value.as_bytes());
    all.take(plain.clone(), MIN_VALUE);
    for cased in [value.to_lowercase(), value.to_uppercase()] {
        // A few letters shrink (the Kelvin sign becomes `k`), and what is too short is found by chance.
        all.take(Form { cased: true, ..Form::plain(cased.as_bytes()) }, MIN_VALUE);
    }
    // One layer around the value and each spelling.
    all.around(std::slice::from_ref(&plain), &|_| true, Depth::Value, MIN_VALUE);
    for spelling in spelling::spellings(value) {
        let form = Form { chain: vec![Label::Name(spelling.id)], ..Form::plain(spelling.text.as_bytes()) };
        all.around(&[form], &|_| true, Depth::Value, CUTS[0]);
    }
    // Two and three around the value.
    let beginning = (0..=NESTED_VALUE.min(value.len())).rev().find(|at| value.is_char_boundary(*at));
    let short = Form::plain(value.get(..beginning.unwrap_or_default()).unwrap_or_default().as_bytes());
    let short = std::slice::from_ref(&short);
    let inner = distinct(both_cases(around(short, |_| true, Depth::Value)));
    // Of a value that chance does not produce, neither does it any writing.
    let nested = if value.len() >= 8 { CUTS[0] } else { MIN_NESTED };
    let (seldom, often): (Vec<Form>, Vec<Form>) = inner.into_iter().partition(Form::is_seldom);
    all.around(&often, &texts, Depth::Text, nested);
    all.around(&seldom, &texts, Depth::Deep, nested);
    // What stands within three layers is what most encoders write.
    let common = distinct(both_cases(around(short, texts, Depth::Nested)));
    let narrow = distinct(both_cases(around(&common, anywhere, Depth::Deep)));
    all.around(&narrow, &anywhere, Depth::Third, nested);
    let innermost: Vec<Form> = [often, seldom].concat();
    let innermost: Vec<Form> =
        innermost.into_iter().filter(|f| f.is_innermost() && !f.is_rotated()).collect();
    let letters = distinct(both_cases(around(&innermost, anywhere, Depth::Deep)));
    all.around(&letters, &anywhere, Depth::Third, nested);
    for digest in digests(value, keys) {
        let deep = digest.chain.len() == 1;
        // A digest may hold line breaks, which are not seen.
        all.take(digest.clone(), MIN_DIGEST);
        let digest = [all.digest(digest)];
        // Those that take any bytes, not texts alone.
        let of_bytes = |t: &Transform| t.ids.contains(&"hex") || t.ids.contains(&"base64");
        let written = |t: &Transform| of_bytes(t) || t.ids.contains(&"base32") || t.ids.contains(&"url");
        all.around(&digest, &written, Depth::Digest, MIN_NESTED);
        if deep {
            let one = both_cases(around(&digest, of_bytes, Depth::Digest));
            all.around(&one, &anywhere, Depth::Deep, MIN_NESTED);
        }
    }
}

impl Form {
    /// Of the many shifts of the alphabet only the usual ones are nested deep.
    fn is_rotated(&self) -> bool {
        self.chain
            .iter()
            .any(|l| matches!(l, Label::Name(n) if n.starts_with("rot") && !["rot13", "rot47"].contains(n)))
    }

    /// Seldom within another layer: of that one way is searched.
    fn is_seldom(&self) -> bool {
        self.is_rotated() || matches!(self.chain.first(), Some(Label::Name("base32" | "caritas-name")))
    }

    /// Nothing but what stands around the value itself.
    fn is_innermost(&self) -> bool {
        let of = |t: &&&Transform| matches!(self.chain.first(), Some(Label::Name(n)) if t.ids.contains(n));
        TRANSFORMS.iter().find(of).is_some_and(|t| t.place == Place::Innermost)
    }
}

/// The digests of all canonical spellings, by hash function and by known key.
fn digests(value: &str, keys: &Keys) -> Vec<Form> {
    let spellings = spelling::hashed(value);
    let number = spelling::number(value).is_some();
    let mut all = Vec::new();
    let mut add = |label: Label, spelling: &Spelling, bytes: Vec<u8>| {
        let mut chain = vec![label];
        if !spelling.id.is_empty() {
            chain.push(Label::Name(spelling.id));
        }
        let cuts = CUTS.iter().filter(|cut| **cut < bytes.len()).map(|cut| (*cut, *cut)).collect();
        all.push(Form { case: Case::EXACT, chain, cuts, ..Form::plain(&bytes) });
    };
    for spelling in &spellings {
        for digest in DIGESTS {
            add(Label::Name(digest.id), spelling, (digest.of)(spelling.text.as_bytes()));
        }
        for (key, place) in keys.iter().zip(0..) {
            let fits = match key.over() {
                KeyOver::All => true,
                KeyOver::Numbers => number,
                KeyOver::Mail => value.contains('@'),
            };
            if fits {
                add(Label::Key(place), spelling, key.of(spelling.text.as_bytes()));
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_the_same_each_time_and_not_too_many() {
        let keys = Keys::embedded();
        for (value, most) in [("+4915112345678", 3200), ("anna@example.org", 3200), ("zqjx", 1800)] {
            let (a, b) = (forms(value, &keys), forms(value, &keys));
            assert!(
                a.iter().zip(&b).all(|(a, b)| a.bytes == b.bytes && a.chain == b.chain) && a.len() == b.len()
            );
            let bytes: usize = a.iter().map(|f| f.bytes.len()).sum();
            println!("{value}: {} forms, {bytes} bytes", a.len());
            assert!(a.len() < most, "{value}: {} forms, {bytes} bytes", a.len());
        }
    }

    /// `cargo test --lib forms_of_sets -- --nocapture` prints the numbers; a thousand canaries have to find room.
    #[test]
    fn forms_of_sets_leave_room_for_a_thousand_canaries() {
        let mut seeded = crate::random::Random::new(4711);
        let mut set = |letters: &str, length: usize| {
            let letters: Vec<char> = letters.chars().collect();
            let mut value = || (0..length).map(|_| letters[seeded.below(letters.len())]).collect::<String>();
            let canaries: Vec<_> = (0..100).map(|n| (format!("c{n}"), value())).collect();
            super::super::CanarySet::new(&canaries).unwrap().forms() / 100
        };
        let plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
        for (name, others, length) in [
            ("letters and digits", "", 14),
            ("with spaces and umlauts", "    äöüßäöüß", 24),
            ("with marks too", "    äöüß\"'&<>/()!?.,-+", 24),
        ] {
            let each = set(&format!("{plain}{others}"), length);
            println!("{name}: {each} forms each");
            assert!(each * 1000 < super::super::canary::MAX_FORMS, "{name}: {each}");
        }
    }

    #[test]
    fn every_form_leaves_its_fingerprint() {
        use super::super::matcher::{Print, Prints, fingerprint};
        let mut values: Vec<String> = [
            "+4915112345678",
            "0151 1234567",
            "004179/1234567",
            "anna@example.org",
            "zqjx",
            "a b=c&d<e>\"f'",
            "x/y/z\\+?",
            "Jörg.Canary-4711@example.org",
            "zwei\r\nZeilen=\r\nund mehr",
            "🙂 ja",
            "\u{1}\u{2}abc\t",
            "%41%42=41",
            "Встреча завтра у Александровского сада",
            "Wirx treffen uns um acht in der alten Bäckerei, und bring Geld mit",
            "1234",
        ]
        .map(str::to_owned)
        .to_vec();
        values.extend(
            [47, 48, 49, 200, 1024].map(|n| "Grüße, 17/4 & mehr ".repeat(60).chars().take(n).collect()),
        );
        let mut seeded = crate::random::Random::new(4711);
        for _ in 0..60 {
            let length = 4 + seeded.below(40);
            values.push((0..length).map(|_| char::from(b' ' + seeded.below(95) as u8)).collect());
            values.push((0..length).map(|_| char::from_u32(seeded.below(0x250) as u32).unwrap()).collect());
        }
        for value in values.iter().filter(|v| v.len() >= MIN_VALUE) {
            let keys = Keys::embedded();
            let mut prints = Prints::default();
            let longest = endings(value, &keys, &mut |end| {
                if let Some((kind, print)) = Print::of(end, 0) {
                    prints.add(kind, print);
                }
            });
            for form in forms(value, &keys) {
                let must = &form.bytes[..form.least()];
                assert!(must.len() <= longest, "{value:?}: {:?} is longer than {longest}", form.chain);
                let Some(print) = fingerprint(must) else { continue };
                assert!(
                    prints.holds(print, must),
                    "{value:?}: {:?} {must:?} leaves no fingerprint",
                    form.chain
                );
            }
        }
    }

    #[test]
    fn a_cut_digest_keeps_its_name_in_every_writing() {
        let all = forms("+4915112345678", &Keys::embedded());
        let form = all.iter().find(|f| f.chain == [Label::Name("base64"), Label::Name("sha256")]).unwrap();
        let keys = Keys::embedded();
        assert_eq!(form.cuts, [(10, 8), (13, 10), (21, 16)]);
        assert_eq!(form.encoding(form.bytes.len(), &keys), ["base64", "sha256"]);
        assert_eq!(form.encoding(14, &keys), ["base64", "sha256/10"]);
    }
}
