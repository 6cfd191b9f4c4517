//! PromQL against scripts: what is loaded, what is asked, what comes out. `PROMQL_SCRIPTS=dir` runs another folder's.

mod classic;
mod counted;
mod limits;
mod memory;
mod reference;
mod rolled;
mod script;
mod stored;
mod syntax;

use query::promql::notation;

use std::path::PathBuf;

#[test]
fn scripts() {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/promql");
    let folder = std::env::var_os("PROMQL_SCRIPTS").map_or(own, PathBuf::from);
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "test"))
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "no scripts in {}", folder.display());
    let mut failed = 0;
    for path in paths {
        let outcome = script::run(&std::fs::read_to_string(&path).unwrap());
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        println!("{name}: {} passed, {} failed, {} skipped", outcome.passed, outcome.failures.len(), outcome.skipped);
        for failure in &outcome.failures {
            println!("  {name}:{failure}");
        }
        failed += outcome.failures.len();
        assert!(outcome.passed > 0, "{name} evaluates nothing");
    }
    assert_eq!(failed, 0, "evaluations failed, see above");
}
