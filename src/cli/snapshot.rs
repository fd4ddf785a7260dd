//! `goodfaith snapshot`: what snapshots there are, whether they can be used, and what one is of. It changes nothing.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::deployment::DeploymentArgs;
use super::{Format, FormatArg, UsageError, run};
use crate::engine::{LAYOUT, PartitionEngine, RollUps, Settings};
use crate::model::{Catalogue, EventTime, Policy};
use crate::snapshot::{Customers, Folder, Location, Progress, SnapshotName, Store, Unusable, load};
use crate::wire::{Manifest, Step};

/// Arguments of `snapshot`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  goodfaith snapshot list --config goodfaith.toml
      By partition, newest first: offset, when it was taken, its size.
  goodfaith snapshot verify --url s3://bucket/goodfaith
      Read all of every snapshot and unpack every customer; exit code 1 if one cannot be used.
  goodfaith snapshot show 00000000000000004711 --config goodfaith.toml --format json
      All that is noted of the snapshots whose name begins so.

A restart reads the newest snapshot that is whole, of this deployment and not ahead of what is committed, and then the log behind it.")]
pub(super) struct SnapshotArgs {
    #[command(subcommand)]
    verb: SnapshotVerb,
}

#[derive(Debug, Subcommand)]
enum SnapshotVerb {
    /// List the snapshots of every partition, newest first
    List(PlaceArgs),
    /// Read every snapshot to its last byte, and say which cannot be used
    Verify(PlaceArgs),
    /// Say what a snapshot is of
    Show {
        /// Its name as `list` says it, or the beginning of it
        name: String,
        #[command(flatten)]
        place: PlaceArgs,
    },
}

/// Where to look.
#[derive(Debug, Args)]
struct PlaceArgs {
    /// The folder or URL, instead of that of a configuration
    #[arg(long, value_name = "URL", conflicts_with_all = ["config", "set"])]
    url: Option<Location>,
    #[command(flatten)]
    deployment: DeploymentArgs,
    #[command(flatten)]
    format: FormatArg,
}

/// A snapshot that was found: where, and its manifest or what is wrong.
struct Found {
    folder: String,
    name: SnapshotName,
    manifest: Result<Manifest, Unusable>,
}

/// Runs a verb of `snapshot`.
pub(super) fn run(args: &SnapshotArgs) -> anyhow::Result<ExitCode> {
    match &args.verb {
        SnapshotVerb::List(place) => place.told("", manifest, Found::line, Found::brief),
        SnapshotVerb::Verify(place) => place.told("", verified, Found::line, Found::brief),
        SnapshotVerb::Show { name, place } => place.told(name, manifest, Found::text, Found::full),
    }
}

fn manifest(folder: &Folder<'_>, name: SnapshotName) -> Result<Manifest, Unusable> {
    folder.entry(name).manifest
}

/// The manifest of a snapshot all of which was read.
fn verified(folder: &Folder<'_>, name: SnapshotName) -> Result<Manifest, Unusable> {
    let manifest = manifest(folder, name)?;
    let found = manifest.point.layout;
    if found != LAYOUT {
        return Err(Unusable::OtherLayout { found, expected: LAYOUT });
    }
    load(folder, &manifest, &Progress::default(), check)?;
    Ok(manifest)
}

impl PlaceArgs {
    /// Tells of every snapshot whose name begins so, as text or JSON. 1 if one of them cannot be used, or there is none.
    fn told(
        &self,
        beginning: &str,
        read: impl Fn(&Folder<'_>, SnapshotName) -> Result<Manifest, Unusable>,
        text: impl Fn(&Found) -> String,
        json: impl Fn(&Found) -> Value,
    ) -> anyhow::Result<ExitCode> {
        let location = self.location()?;
        let store = Store::open(&location, &run::environment()).map_err(UsageError::new)?;
        let (mut values, mut unusable, mut count) = (Vec::new(), 0, 0);
        let mut out = io::stdout().lock();
        for folder in Folder::all(&store).context("cannot list the snapshots")? {
            let names = folder.names().context("cannot list the snapshots")?;
            for name in names.into_iter().filter(|name| name.to_string().starts_with(beginning)) {
                let manifest = read(&folder, name);
                count += 1;
                unusable += usize::from(manifest.is_err());
                let found = Found { folder: folder.path().to_owned(), name, manifest };
                match self.format.format {
                    Format::Text => writeln!(out, "{}", text(&found))?,
                    Format::Json => values.push(json(&found)),
                }
            }
        }
        if self.format.format == Format::Json {
            writeln!(out, "{}", Value::Array(values))?;
        }
        if count == 0 {
            writeln!(anstream::stderr(), "There is no such snapshot at {location}.")?;
        }
        let is_fine = 0 < count && unusable == 0;
        Ok(if is_fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn location(&self) -> anyhow::Result<Location> {
        if let Some(url) = &self.url {
            return Ok(url.clone());
        }
        let config = self.deployment.load();
        let settings =
            config.context("nowhere to look: --url says where, or a deployment")?.snapshot;
        let off = || {
            UsageError::new(anyhow!(
                "snapshots are off (snapshot.enabled): --url says where to look"
            ))
        };
        Ok(settings.ok_or_else(off)?.location)
    }
}

impl Found {
    /// One line.
    fn line(&self) -> String {
        let (folder, name) = (&self.folder, self.name);
        match &self.manifest {
            Err(unusable) => format!("{folder}/{name}  unusable: {unusable}"),
            Ok(manifest) => format!(
                "{folder}/{name}  {}  {} customers  {} bytes in {} steps",
                taken(manifest),
                manifest.customers,
                manifest.bytes(),
                manifest.steps.len(),
            ),
        }
    }

    fn brief(&self) -> Value {
        let mut value = json!({
            "folder": self.folder,
            "name": self.name.to_string(),
            "offset_next": self.name.offset_next,
            "seq": self.name.seq,
        });
        let more = match &self.manifest {
            Err(unusable) => json!({ "unusable": unusable.to_string() }),
            Ok(manifest) => json!({
                "taken": taken(manifest),
                "customers": manifest.customers,
                "bytes": manifest.bytes(),
                "steps": manifest.steps.len(),
            }),
        };
        if let (Value::Object(value), Value::Object(more)) = (&mut value, more) {
            value.extend(more);
        }
        value
    }

    /// All of it, a line each.
    fn text(&self) -> String {
        let Ok(manifest) = &self.manifest else { return self.line() };
        let (point, genesis) = (&manifest.point, &manifest.point.genesis);
        let mut text = format!("{}/{}\n", self.folder, self.name);
        let mut say = |name: &str, value: String| text.push_str(&format!("  {name:<22} {value}\n"));
        say("taken", taken(manifest));
        say("partition", format!("{} of {}", point.partition, genesis.partition_count));
        say("next offset", point.offset_next.to_string());
        say("journal", format!("record {}, hash {:016x}", point.seq, point.journal_hash));
        say("reference log", format!("below {}", point.reference_offset_next));
        say("policy", policy(manifest));
        say("engine, layout", format!("{}, {}", point.engine, point.layout));
        say("began", format!("at offset {} with {}", genesis.start_offset, genesis.policy_version));
        say("customers", manifest.customers.to_string());
        if manifest.supersedes {
            say("supersedes", "all before it: customers were erased".to_owned());
        }
        for (step, kind) in
            manifest.steps.iter().zip(std::iter::once("base").chain(std::iter::repeat("changes")))
        {
            let parts = step.parts.len();
            say(
                kind,
                format!(
                    "to offset {}, {} bytes in {parts} objects",
                    step.offset_next,
                    step.bytes()
                ),
            );
        }
        text.trim_end().to_owned()
    }

    fn full(&self) -> Value {
        let mut value = self.brief();
        if let (Value::Object(value), Ok(manifest)) = (&mut value, &self.manifest) {
            let (point, genesis) = (&manifest.point, &manifest.point.genesis);
            let step = |step: &Step| json!({ "offset_next": step.offset_next, "seq": step.seq, "bytes": step.bytes(), "objects": step.parts.len() });
            let more = json!({
                "partition": point.partition,
                "partition_count": genesis.partition_count,
                "journal_hash": format!("{:016x}", point.journal_hash),
                "reference_offset_next": point.reference_offset_next,
                "policy_hash": format!("{:016x}", point.policy_fingerprint),
                "policy_offset": point.policy_offset,
                "engine": point.engine,
                "layout": point.layout,
                "start_offset": genesis.start_offset,
                "supersedes": manifest.supersedes,
                "steps": manifest.steps.iter().map(step).collect::<Vec<_>>(),
            });
            if let Value::Object(more) = more {
                value.extend(more);
            }
        }
        value
    }
}

fn taken(manifest: &Manifest) -> String {
    EventTime::from_millis(manifest.taken_ms).to_string()
}

fn policy(manifest: &Manifest) -> String {
    let hash = format!("{:016x}", manifest.point.policy_fingerprint);
    match manifest.point.policy_offset {
        None => format!("{hash}, as it began"),
        Some(offset) => format!("{hash}, at offset {offset} of the reference log"),
    }
}

/// Whether all of a snapshot can be unpacked.
fn check(manifest: &Manifest, header: &[u8], customers: &mut Customers<'_>) -> Result<(), String> {
    for (id, packed) in customers {
        PartitionEngine::check_customer(&id, &packed).map_err(|error| error.to_string())?;
    }
    let policy = Arc::new(Policy::default());
    let engine = |roll_ups| {
        let salt = manifest.point.genesis.lineage;
        let settings = Settings { policy: Arc::clone(&policy), salt, audit: false };
        let catalogue = Arc::<Catalogue>::default();
        PartitionEngine::from_image(settings, roll_ups, Arc::clone(&policy), catalogue, header, [])
    };
    // What it was made with is not noted; it reads as one of the two.
    let read = engine(RollUps::Off).or_else(|_error| engine(RollUps::Published));
    read.map(drop).map_err(|error| error.to_string())
}
