//! The verdicts as a table for the terminal, one block a messenger.
//!
//! Takes a [`Report`], the wording, the terminal's width and whether it shows colour; gives text that ends with a newline.
//! Everything dynamic is escaped; colour marks only what a word says as well.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use comfy_table::{
    ColumnConstraint, ContentArrangement, ContentLineStyle, LineStyle, Table, TableStyle, Width,
};

use super::escape::escape_terminal;
use super::view::comparison::states;
use super::view::noise_sum;
use super::wording::{Arg, Wording};
use super::words::{self, VERDICTS};
use crate::model::{ClaimResult, Evidence, NoiseSum, Report, Verdict};

const STYLE: TableStyle = TableStyle::new()
    .header_separator(LineStyle::none().fill('─'))
    .header_lines(ContentLineStyle::none())
    .content_lines(ContentLineStyle::none());

/// Blanks between columns.
const GAP: u16 = 2;
/// A narrower terminal gets lines that it has to wrap itself.
const NARROWEST: usize = 60;
/// Frames named of the first evidence; the page and the JSON have them all.
const FRAMES: usize = 4;
/// Commands for open claims that get a line, and claims named with each; the page and the JSON have them all.
const MAX_NEXT: usize = 5;
const MAX_NEXT_IDS: usize = 4;
/// Calls that get a line; the page and the JSON have them all.
const MAX_CALLS: usize = 20;
/// Runs beside control runs that get a line; the page and the JSON have them all.
const MAX_NOISE: usize = 20;

/// The verdicts by messenger. `width` is the terminal's, in columns; without one no line is wrapped, which suits `grep`.
///
/// A claim's id stands without its messenger, which heads the block. Claims that were decided come first.
#[must_use]
pub fn table(report: &Report, wording: &Wording, width: Option<usize>, colour: bool) -> String {
    let mut groups: BTreeMap<&str, Vec<&ClaimResult>> = BTreeMap::new();
    for claim in &report.claims {
        groups.entry(&claim.messenger).or_default().push(claim);
    }
    if groups.is_empty() {
        return wording.text("table-none")
            + "\n"
            + &calls(report, wording, width)
            + &noise(report, wording, width);
    }
    for claims in groups.values_mut() {
        claims.sort_by_key(|c| (words::urgency(c.verdict), &c.id));
    }
    let header = ["column-claim", "column-criterion", "column-verdict", "column-evidence"];
    let header: Vec<String> = header.iter().map(|id| wording.text(id)).collect();
    let rows: BTreeMap<&str, Vec<[String; 4]>> =
        groups.iter().map(|(m, claims)| (*m, claims.iter().map(|c| row(c, wording)).collect())).collect();

    // One table over everything tells how wide each column has to be in every block.
    let mut all = Table::new();
    all.set_header(header.clone()).add_rows(rows.values().flatten().cloned());
    let widths = columns(&all.column_max_content_widths(), width);

    let mut out = String::new();
    for (messenger, claims) in &groups {
        if !out.is_empty() {
            out.push('\n');
        }
        for (i, line) in heading(&wording.messenger(messenger), claims, wording, width).iter().enumerate() {
            let bold = colour && i == 0;
            // Writing into a String cannot fail.
            let _ = writeln!(out, "{}", if bold { format!("\x1b[1m{line}\x1b[0m") } else { line.clone() });
        }
        let mut block = Table::new();
        block.load_style(STYLE).set_content_arrangement(ContentArrangement::Dynamic);
        block.set_header(header.clone());
        for row in rows.get(messenger).into_iter().flatten() {
            block.add_row(row.iter().zip(&widths).map(|(text, width)| wrap(text, usize::from(*width))));
        }
        let last = widths.len().saturating_sub(1);
        let gap = |i: usize| if i == last { 0 } else { GAP };
        // A fixed width counts the padding in.
        let fixed = widths.iter().enumerate().map(|(i, w)| Width::Fixed(w.saturating_add(gap(i))));
        block.set_constraints(fixed.map(ColumnConstraint::Absolute));
        for (i, column) in block.column_iter_mut().enumerate() {
            column.set_padding((0, gap(i)));
        }
        for line in block.lines() {
            let line = line.trim_end();
            let _ = writeln!(out, "{}", if colour { coloured(line) } else { uncoloured(line) });
        }
    }
    out + &disagreements(report, wording, width)
        + &outdated(report, wording, width)
        + &next_steps(report, wording, width)
        + &conclusions(report, wording, width)
        + &calls(report, wording, width)
        + &noise(report, wording, width)
}

/// A line for each run beside control runs: the whole and what remains. Empty where nothing was compared.
fn noise(report: &Report, wording: &Wording, width: Option<usize>) -> String {
    let mut out = String::new();
    if !report.noise.is_empty() {
        let _ = writeln!(out, "\n{}", wording.text("section-noise"));
    }
    for noise in report.noise.iter().take(MAX_NOISE) {
        let capture = escape_terminal(&noise.capture).into_owned();
        let sum = |sum: Option<&NoiseSum>| noise_sum(sum, wording);
        let line = wording.with(
            "noise-line",
            &[
                ("capture", Arg::Text(&capture)),
                ("whole", Arg::Text(&sum(Some(&noise.whole)))),
                ("noise", Arg::Text(&sum(noise.noise.as_ref()))),
                ("remains", Arg::Text(&sum(noise.remains.as_ref()))),
                ("idle", Arg::Text(&sum(noise.when_idle.as_ref()))),
                ("controls", Arg::Count(noise.controls.len() as u64)),
            ],
        );
        let _ = writeln!(out, "{}", hanging(&line, width));
    }
    let left = report.noise.len().saturating_sub(MAX_NOISE) as u64;
    if left > 0 {
        let _ = writeln!(out, "{}", wording.with("more-in-json", &[("n", Arg::Count(left))]));
    }
    out
}

/// A line for each claim on which runs do not agree: what each kind of runs shows.
fn disagreements(report: &Report, wording: &Wording, width: Option<usize>) -> String {
    let mut out = String::new();
    for claim in report.claims.iter().filter(|c| c.runs_disagree) {
        if out.is_empty() {
            let _ = writeln!(out, "\n{}", wording.text("section-disagreements"));
        }
        let kinds = claim.runs.iter().filter(|r| r.verdict != Verdict::Inconclusive);
        let kinds: Vec<String> = kinds.map(|kind| words::kind_of_runs(kind, wording)).collect();
        let line = wording.with(
            "disagreement-line",
            &[("claim", Arg::Text(&claim.id)), ("kinds", Arg::Text(&kinds.join("; ")))],
        );
        let _ = writeln!(out, "{}", hanging(&line, width));
    }
    out
}

/// A line for each claim whose wording no longer fits: since when, and which claim says what holds today. Only of messengers that a capture
/// has; the page has all of them.
fn outdated(report: &Report, wording: &Wording, width: Option<usize>) -> String {
    let seen: BTreeSet<&str> = report.flows.iter().filter_map(|f| f.messenger.as_deref()).collect();
    let mut out = String::new();
    for claim in report.claims.iter().filter(|c| seen.contains(c.messenger.as_str())) {
        let Some(what) = words::superseded(claim, report, wording) else { continue };
        if out.is_empty() {
            let _ = writeln!(out, "\n{}", wording.text("section-superseded"));
        }
        let (id, by) = (Arg::Text(&claim.id), Arg::Text(&claim.superseded_by));
        let line = if claim.superseded_by.is_empty() {
            wording.with("superseded-line", &[("claim", id), ("what", Arg::Text(&what))])
        } else {
            wording.with("superseded-line-by", &[("claim", id), ("what", Arg::Text(&what)), ("by", by)])
        };
        let _ = writeln!(out, "{}", hanging(&line, width));
    }
    out
}

/// What would decide the claims that are open, one command for all claims that it can decide, those first that decide most. Of messengers
/// that no capture has nothing is said: every one of their claims is open. A command stands on one line, however long, to be copied.
fn next_steps(report: &Report, wording: &Wording, width: Option<usize>) -> String {
    let seen: BTreeSet<&str> = report.flows.iter().filter_map(|f| f.messenger.as_deref()).collect();
    let mut by_command: BTreeMap<&str, (&str, Vec<&str>)> = BTreeMap::new();
    for claim in report.claims.iter().filter(|c| seen.contains(c.messenger.as_str())) {
        for next in &claim.next {
            let what = wording.pick(&next.what);
            by_command.entry(&next.command).or_insert((what, Vec::new())).1.push(&claim.id);
        }
    }
    let mut all: Vec<_> = by_command.into_iter().collect();
    all.sort_by_key(|(command, (_, ids))| (std::cmp::Reverse(ids.len()), *command));
    let mut out = String::new();
    for (command, (what, ids)) in all.iter().take(MAX_NEXT) {
        if out.is_empty() {
            let _ = writeln!(out, "\n{}", wording.text("section-next"));
        }
        let named: Vec<&str> = ids.iter().take(MAX_NEXT_IDS).copied().collect();
        let left = (ids.len() - named.len()) as u64;
        let more =
            if left > 0 { wording.with("table-more", &[("n", Arg::Count(left))]) } else { String::new() };
        let line = wording.with(
            "next-line",
            &[
                ("what", Arg::Text(what)),
                ("claims", Arg::Text(format!("{} {more}", named.join(", ")).trim_end())),
            ],
        );
        let _ = writeln!(out, "{}\n    {}", hanging(&line, width), escape_terminal(command));
    }
    let left = all.len().saturating_sub(MAX_NEXT) as u64;
    if left > 0 {
        let _ = writeln!(out, "{}", wording.with("more-in-json", &[("n", Arg::Count(left))]));
    }
    out
}

/// A line for each conclusion of which anything was decided by traffic; the page has all.
fn conclusions(report: &Report, wording: &Wording, width: Option<usize>) -> String {
    use crate::model::PremiseState::{Measured, NotRefuted, Refuted};
    let decided = |state| matches!(state, Measured | NotRefuted | Refuted);
    let mut out = String::new();
    for conclusion in &report.comparison.conclusions {
        if !conclusion.premises.iter().any(|p| decided(p.state)) {
            continue;
        }
        if out.is_empty() {
            let _ = writeln!(out, "\n{}", wording.text("section-conclusions"));
        }
        let line = wording.with(
            "conclusion-line",
            &[
                ("messenger", Arg::Text(&wording.messenger(conclusion.messenger()))),
                ("text", Arg::Text(wording.pick(&conclusion.text))),
                ("states", Arg::Text(&states(conclusion, wording))),
            ],
        );
        let _ = writeln!(out, "{}", hanging(&line, width));
    }
    out
}

/// A line as wide as the terminal at most; what does not fit follows below, two columns further in.
fn hanging(line: &str, width: Option<usize>) -> String {
    let width = width.map_or(usize::MAX, |width| width.max(NARROWEST).saturating_sub(2));
    wrap(line, width).replace('\n', "\n  ")
}

/// A line for each call, behind the verdicts; empty without calls.
fn calls(report: &Report, wording: &Wording, width: Option<usize>) -> String {
    let mut out = String::new();
    if !report.calls.is_empty() {
        let _ = writeln!(out, "\n{}", wording.text("section-calls"));
    }
    for call in report.calls.iter().take(MAX_CALLS) {
        let all = call.media_bytes();
        let share = if all > 0 { wording.share(call.peer_bytes, all) } else { "–".to_owned() };
        let servers = if call.server_bytes > 0 {
            let share = wording.share(call.server_bytes, all);
            let n = call.servers.len() as u64;
            wording.with("call-line-servers", &[("share", Arg::Text(&share)), ("n", Arg::Count(n))])
        } else {
            String::new()
        };
        let reached = match call.reached_before_answer {
            0 => String::new(),
            n => wording.with("call-line-reached", &[("n", Arg::Count(n))]),
        };
        let flow = call.flows.first().copied().unwrap_or_default();
        let label = escape_terminal(&format!("{}#{flow}", call.capture)).into_owned();
        let exposed = call.exposed.iter().filter(|e| e.kind != "relay").count() as u64;
        let line = wording.with(
            "call-line",
            &[
                ("label", Arg::Text(&label)),
                ("media", Arg::Text(&wording.bytes(all))),
                ("share", Arg::Text(&share)),
                ("servers", Arg::Text(&servers)),
                ("exposed", Arg::Count(exposed)),
                ("before", Arg::Count(call.exposed_before_answer)),
                ("reached", Arg::Text(&reached)),
            ],
        );
        let _ = writeln!(out, "{}", hanging(&line, width));
    }
    let left = report.calls.len().saturating_sub(MAX_CALLS) as u64;
    if left > 0 {
        let _ = writeln!(out, "{}", wording.with("more-in-json", &[("n", Arg::Count(left))]));
    }
    out
}

fn row(claim: &ClaimResult, wording: &Wording) -> [String; 4] {
    let short = claim.id.strip_prefix(&format!("{}.", claim.messenger)).unwrap_or(&claim.id);
    let mut verdict = format!("{} {}", placeholder(claim.verdict), wording.verdict(claim.verdict));
    if !claim.reason.is_empty() {
        let _ = write!(verdict, " ({})", wording.reason(&claim.reason));
    }
    if claim.runs_disagree {
        let _ = write!(verdict, " ({})", wording.text("runs-disagree"));
    }
    if !claim.superseded.is_empty() || !claim.superseded_by.is_empty() {
        verdict.push_str(" ↻");
    }
    if let Some(protection) = &claim.protection
        && protection.verdict == Verdict::Contradicted
    {
        let _ = write!(verdict, " ({})", wording.text("does-not-protect"));
    }
    [
        escape_terminal(short).into_owned(),
        wording.text(words::criterion_id(claim.criterion)),
        verdict,
        evidence(&claim.evidence, wording),
    ]
}

/// The first capture that has frames, its first frames, and how many further pieces there are.
fn evidence(evidence: &[Evidence], wording: &Wording) -> String {
    let Some(first) = evidence.iter().find(|e| !e.frames.is_empty()).or(evidence.first()) else {
        return String::new();
    };
    let mut frames: Vec<String> = first.frames.iter().take(FRAMES).map(u64::to_string).collect();
    if first.frames.len() > FRAMES {
        frames.push("…".into());
    }
    let mut text = if frames.is_empty() {
        escape_terminal(&first.capture).into_owned()
    } else {
        wording.with(
            "table-evidence",
            &[("capture", Arg::Text(&first.capture)), ("frames", Arg::Text(&frames.join(" ")))],
        )
    };
    if evidence.len() > 1 {
        text.push(' ');
        text += &wording.with("table-more", &[("n", Arg::Count(evidence.len() as u64 - 1))]);
    }
    text
}

/// The messenger and how many of its claims got which verdict, broken between counts where the terminal is narrow.
fn heading(name: &str, claims: &[&ClaimResult], wording: &Wording, width: Option<usize>) -> Vec<String> {
    let of = |v: Verdict| claims.iter().filter(|c| c.verdict == v).count() as u64;
    let counted = VERDICTS.into_iter().map(|v| (v, of(v))).filter(|(_, n)| *n > 0);
    let mut counts =
        counted.map(|(v, n)| wording.with(words::verdict_count_id(v), &[("n", Arg::Count(n))])).peekable();
    let mut lines = Vec::new();
    let mut line = format!("{name}:");
    while let Some(count) = counts.next() {
        let comma = if counts.peek().is_some() { "," } else { "" };
        let room = width.is_none_or(|w| line.chars().count() + count.chars().count() + 2 <= w.max(NARROWEST));
        if !room {
            lines.push(std::mem::replace(&mut line, " ".into()));
        }
        let _ = write!(line, " {count}{comma}");
    }
    lines.push(line);
    lines
}

/// Shares `width` among the columns: at first each gets what it needs up to a share of its own and the evidence the rest,
/// then what is left over goes to those that want more.
fn columns(needed: &[u16], width: Option<usize>) -> Vec<u16> {
    let (Some(width), [claim, criterion, verdict, evidence]) = (width, needed) else {
        return needed.to_vec();
    };
    let width = u16::try_from(width.max(NARROWEST)).unwrap_or(u16::MAX).saturating_sub(3 * GAP);
    let criterion = (*criterion).min(width / 5);
    let mut given_verdict = (*verdict).min((width / 4).max(20));
    let mut given_claim = (*claim).min(width / 3);
    let rest = width.saturating_sub(criterion + given_verdict + given_claim);
    let evidence = (*evidence).min(rest);
    let mut left = rest - evidence;
    for (given, wanted) in [(&mut given_verdict, *verdict), (&mut given_claim, *claim)] {
        let more = left.min(wanted.saturating_sub(*given));
        *given += more;
        left -= more;
    }
    vec![given_claim, criterion, given_verdict, evidence]
}

/// Breaks `text` into lines of at most `width` characters, after blanks or the signs that join ids and file names; a
/// library that only knows blanks would cut names anywhere.
fn wrap(text: &str, width: usize) -> String {
    let mut out = String::new();
    let mut line = 0;
    for word in text.split_inclusive([' ', '-', '_', '.', '/']) {
        let length = word.trim_end().chars().count();
        if line > 0 && line + length > width {
            out.truncate(out.trim_end().len());
            out.push('\n');
            line = 0;
        }
        out += word;
        line += word.chars().count();
    }
    out
}

/// A private-use character in the place of a verdict's mark: it is as wide as the mark, and since [`escape_terminal`]
/// lets none from the wire pass, it is safe to replace after the layout.
fn placeholder(verdict: Verdict) -> char {
    match verdict {
        Verdict::Supported => '\u{e000}',
        Verdict::Contradicted => '\u{e001}',
        Verdict::NotContradicted => '\u{e002}',
        Verdict::Inconclusive => '\u{e003}',
        Verdict::Documentary => '\u{e004}',
    }
}

fn uncoloured(line: &str) -> String {
    VERDICTS.into_iter().fold(line.to_owned(), |line, v| {
        line.replace(placeholder(v), words::mark(v).encode_utf8(&mut [0; 4]))
    })
}

fn coloured(line: &str) -> String {
    VERDICTS.into_iter().fold(line.to_owned(), |line, v| {
        let sgr = match v {
            Verdict::Supported => "1;32",
            Verdict::Contradicted => "1;31",
            Verdict::NotContradicted => "1;36",
            Verdict::Inconclusive => "1;33",
            Verdict::Documentary => "1;35",
        };
        line.replace(placeholder(v), &format!("\x1b[{sgr}m{}\x1b[0m", words::mark(v)))
    })
}
