//! Every file that ships, mutated by fixed seeds: none makes a command panic, and none holds one up.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use fastrand::Rng;
use glidepath::{
    cli::{
        args::files::FileArgs,
        local,
        offline::{lint, plan, simulate},
    },
    sim::Player,
};

use super::{longest, mutate::mutated};

/// How often each file is mutated, if `GLIDEPATH_MUTATIONS` does not say.
const USUAL: usize = 20;
/// How many scenarios of one file are played.
const PLAYED: usize = 8;
/// Folders whose YAML ships or is what users write.
const FOLDERS: [&str; 9] = [
    "examples",
    "rollouts",
    "analysis",
    "deploy",
    "tests/scenarios",
    "tests/golden/lint",
    "tests/golden/istio",
    "docs",
    "README.md",
];

/// A file's name and text; a page gives one for each block.
fn corpus() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut open: Vec<PathBuf> = FOLDERS.iter().map(|folder| root.join(folder)).collect();
    let mut found = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let kind = path.extension().and_then(|kind| kind.to_str()).unwrap_or_default();
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        match kind {
            "yaml" | "yml" => found.push((path, text)),
            "md" => found.extend(
                text.split("```yaml\n")
                    .skip(1)
                    .map(|block| (path.clone(), block.split("```").next().unwrap_or_default().to_owned())),
            ),
            _ => {}
        }
    }
    found.sort();
    found
}

/// What the commands do with a file, the printing left out.
fn run(path: &Path) {
    if let Ok(report) = lint::lint(&[path.to_owned()]) {
        report.text(glidepath::cli::render::paint::Paint { on: false });
    }
    for plan in
        plan::plans(&plan::PlanArgs { files: FileArgs::of(&[path.to_owned()]), replicas: None }).unwrap_or_default()
    {
        plan.text(80);
    }
    let _ = local::load(&[path.to_owned()], Default::default());
    // A mutation may repeat a document a hundred times, and a hundred scenarios honestly take as long as they do.
    for loaded in simulate::load(path).unwrap_or_default().into_iter().take(PLAYED) {
        if let Some(player) = Player::new(&loaded.setting, None) {
            let story = player.play();
            if let Some(failed) = &story.failure {
                simulate::failure(&loaded, story.seed, failed, glidepath::cli::render::paint::Paint { on: false });
            }
        }
    }
}

/// What this thread has had of a processor.
fn processor_time() -> Duration {
    let had = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(had.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or_default())
}

/// One file, mutated by one seed: what went wrong.
fn case(path: &Path, text: &str, seed: u64, place: &Path) -> (Duration, Option<String>) {
    let bytes = mutated(text, &mut Rng::with_seed(seed));
    std::fs::write(place, bytes).unwrap();
    let begin = processor_time();
    let panicked = catch_unwind(AssertUnwindSafe(|| run(place))).is_err();
    let took = processor_time() - begin;
    // What ends a long one is in the product, not here.
    let what = match (panicked, took > longest()) {
        (true, _) => "a panic".to_owned(),
        (_, true) => format!("took {took:?}"),
        _ => return (took, None),
    };
    if let Some(folder) = std::env::var_os("GLIDEPATH_HOSTILE_KEEP") {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        std::fs::copy(place, Path::new(&folder).join(format!("{seed}-{name}"))).unwrap();
    }
    (took, Some(format!("{}, seed {seed}: {what}", path.display())))
}

/// M7: a panic or a long time is a bug of the product. `GLIDEPATH_MUTATIONS` takes more of them,
/// `GLIDEPATH_HOSTILE_KEEP=FOLDER` keeps the files.
#[test]
fn no_mutation_of_a_shipped_file_makes_a_command_panic_or_hang() {
    let corpus = corpus();
    assert!(corpus.len() > 250, "only {} files", corpus.len());
    let each = std::env::var("GLIDEPATH_MUTATIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(USUAL);
    let (next, all) = (AtomicUsize::new(0), corpus.len());
    let wrong = std::sync::Mutex::new(Vec::new());
    let slowest = std::sync::Mutex::new(Duration::ZERO);
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                let folder = tempfile::tempdir().unwrap();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some((path, text)) = corpus.get(number) else { return };
                    // Files that a scenario names are found from where the mutation lies.
                    let place = beside(path, folder.path());
                    for seed in 0..each as u64 {
                        let (took, found) = case(path, text, seed * 1_000 + number as u64, &place);
                        wrong.lock().unwrap().extend(found);
                        let mut slowest = slowest.lock().unwrap();
                        *slowest = (*slowest).max(took);
                    }
                    if number % 25 == 24 {
                        println!(
                            "{} of {all} files, {:.0?}, slowest case {:.1?}",
                            number + 1,
                            begin.elapsed(),
                            slowest.lock().unwrap()
                        );
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), all * each, wrong.join("\n"));
    println!("{} cases in {:.0?}, the slowest {:.1?}", all * each, begin.elapsed(), slowest.into_inner().unwrap());
}

/// A place for a mutation from which relative names lead where they do from the file itself.
fn beside(path: &Path, folder: &Path) -> PathBuf {
    let own = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().parent().unwrap().to_owned();
    // What is in folders of it is reached by a link, and nothing is written there.
    if own != Path::new("tests/scenarios") {
        return folder.join("mutated.yaml");
    }
    let target = folder.join(&own);
    if !target.exists() {
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::create_dir_all(&target).unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let link = |from: PathBuf, to: PathBuf| drop(std::os::unix::fs::symlink(from, to));
        link(root.join("tests/scenarios/files"), folder.join("tests/scenarios/files"));
        for name in ["rollouts", "analysis", "examples"] {
            link(root.join(name), folder.join(name));
        }
    }
    target.join("mutated.yaml")
}
