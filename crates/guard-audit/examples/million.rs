//! Verifies an export of many records, and says how long that took: `cargo xtask bench audit` runs it.

use std::io::{BufRead, BufReader, BufWriter, Seek, Write};
use std::time::Instant;

use guard_audit::{
    CanonicalRecord, Checkpoint, ExportHead, GENESIS, Head, Line, Link, LinkRecord, SigningKey,
    Verifier, heads_digest, link_hash, record_hash,
};
use uuid::Uuid;

/// Records of a link, and links of a checkpoint.
const LINK: u64 = 20;
const CHECKPOINT: u64 = 100;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count: u64 = std::env::args().nth(1).unwrap_or_default().parse()?;
    let path = std::env::args().nth(2).ok_or("a file to write to")?;
    let key = SigningKey::generate()?;
    let file = std::fs::File::options()
        .create(true)
        .truncate(true)
        .read(true)
        .write(true)
        .open(path)?;
    let mut out = BufWriter::new(&file);
    write(count, &key, |line| {
        serde_json::to_writer(&mut out, &line)?;
        out.write_all(b"\n")
    })?;
    out.flush()?;
    drop(out);
    let mut file = file;
    let bytes = file.stream_position()?;
    file.rewind()?;
    let begun = Instant::now();
    let mut verifier = Verifier::new(vec![*key.public()]);
    let mut lines = BufReader::with_capacity(1 << 20, file);
    let mut line = String::new();
    while lines.read_line(&mut line)? > 0 {
        verifier.text(&line);
        line.clear();
    }
    let verified = verifier.finish();
    let took = begun.elapsed();
    println!(
        "{} records in {} links under {} checkpoints, {} MB: {} findings in {:.2} s",
        verified.records,
        verified.links,
        verified.checkpoints,
        bytes / 1_000_000,
        verified.findings,
        took.as_secs_f64()
    );
    if verified.findings > 0 || verified.records != count.next_multiple_of(LINK) {
        return Err("what is whole was found to be forged".into());
    }
    Ok(())
}

fn write(
    count: u64,
    key: &SigningKey,
    mut keep: impl FnMut(Line) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let chain = Uuid::from_u128(1);
    keep(Line::Export(ExportHead {
        format: 1,
        tenant: None,
        complete_until: i64::MAX,
    }))?;
    let (mut previous, mut before) = (GENESIS, None);
    for link in 1..=count.div_ceil(LINK) {
        let at = i64::try_from(link).unwrap_or(i64::MAX) * 100_000;
        let records: Vec<_> = (0..LINK)
            .map(|position| record(link, position, at))
            .collect();
        let hashes: Vec<_> = records.iter().map(|record| record.hash).collect();
        let hash = link_hash(&previous, &hashes);
        keep(Line::Link(Link {
            chain,
            link,
            previous,
            hash,
            created_at: at,
            count: LINK,
            records,
        }))?;
        previous = hash;
        if link % CHECKPOINT == 0 {
            let head = Head {
                chain,
                link,
                hash,
                at,
            };
            let mut checkpoint = Checkpoint::after(before, at);
            checkpoint.heads = vec![head];
            checkpoint.digest = heads_digest([&head]);
            let number = checkpoint.number;
            let signed = checkpoint.sign(key);
            before = Some((number, signed.hash()));
            keep(Line::Checkpoint(signed))?;
        }
    }
    Ok(())
}

fn record(link: u64, position: u64, at: i64) -> LinkRecord {
    let id = Uuid::from_u128(u128::from(link) << 64 | u128::from(position));
    let record = CanonicalRecord {
        id,
        tenant: "default",
        action: "decision",
        actor: "key:api",
        request_id: Some("0198a0b2-7a3e-7c31-9c55-6a8a3f0a8d11"),
        target: None,
        event_id: Some(id),
        event_sha256: Some("9783b5cc38a6888d28d668790c5ea9487528ebb6886192099f08390c7e2d6686"),
        decision: Some("playbook_triggered"),
        rule_id: Some("backup-recovery"),
        rule_version: Some(3),
        revision: Some(12),
        execution_id: Some(id),
        message: "Triggered playbook: backup-recovery",
        shadows: "[]",
        executed_at: at,
    };
    let text = record.text();
    LinkRecord {
        position,
        hash: record_hash(&text),
        record: Some(text),
    }
}
