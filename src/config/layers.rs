//! Preset, file and flags, laid over each other, and errors that name the key.

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use crate::exit::BadInput;

/// TOML tables laid over each other.
#[derive(Clone, Debug, Default)]
pub struct Layers(Table);

impl Layers {
    /// Lays `over` on top: its values win, tables are merged key by key. A `budget` replaces the
    /// one below as a whole, since a run has one budget; so does an `objective` of another name,
    /// since each has knobs of its own.
    pub fn lay(&mut self, over: Table) {
        let name = |table: &Table| {
            table.get("objective").and_then(|objective| objective.get("name").cloned())
        };
        if over.contains_key("budget") {
            self.0.remove("budget");
        }
        if name(&over).is_some_and(|other| Some(other) != name(&self.0)) {
            self.0.remove("objective");
        }
        merge(&mut self.0, over);
    }

    /// Sets the value at a dotted path.
    pub fn set(&mut self, path: &str, value: impl Into<Value>) {
        self.lay(nested(path, value.into()));
    }

    /// Sets the value at a dotted path unless there is one.
    pub fn lay_under(&mut self, path: &str, value: impl Into<Value>) {
        let over = std::mem::replace(&mut self.0, nested(path, value.into()));
        self.lay(over);
    }

    /// The value of a key at the top.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// Takes a key at the top and everything below it away.
    pub fn remove(&mut self, key: &str) {
        self.0.remove(key);
    }

    /// Lays one `key.path=value` of the command line on top. The value is TOML; what is not TOML is
    /// taken as a string.
    ///
    /// # Errors
    /// When there is no `=` or the path is empty.
    pub fn assign(&mut self, assignment: &str) -> Result<(), BadInput> {
        let parts = assignment.split_once('=').map(|(path, value)| (path.trim(), value.trim()));
        let Some((path, text)) =
            parts.filter(|(path, _)| path.split('.').all(|key| !key.is_empty()))
        else {
            return Err(BadInput(format!("--set {assignment}: write it as key.path=value")));
        };
        let parsed = format!("value = {text}")
            .parse::<Table>()
            .ok()
            .and_then(|mut table| table.remove("value"));
        self.set(path, parsed.unwrap_or_else(|| Value::String(text.to_owned())));
        Ok(())
    }

    /// The struct that the layers describe.
    ///
    /// # Errors
    /// Names the key that is unknown or has a wrong value.
    pub fn resolve<T: DeserializeOwned>(self) -> Result<T, BadInput> {
        parse(self.0, "")
    }
}

/// Reads a struct from a table that stands at `prefix` (such as `objective.`) of the whole.
///
/// # Errors
/// Names the key that is unknown (with the nearest known one) or has a wrong value.
pub fn parse<T: DeserializeOwned>(table: Table, prefix: &str) -> Result<T, BadInput> {
    serde_path_to_error::deserialize(table).map_err(|error| {
        let path = error.path().to_string();
        let message = error.inner().to_string();
        let message = message.trim();
        match unknown_key(message) {
            Some((key, known)) => {
                let path = if path == "." { key.to_owned() } else { path };
                let nearest = known.iter().max_by(|a, b| {
                    strsim::jaro_winkler(a, key).total_cmp(&strsim::jaro_winkler(b, key))
                });
                let hint =
                    nearest.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                BadInput(format!(
                    "unknown key `{prefix}{path}`{hint} Known here: {}",
                    known.join(", ")
                ))
            }
            None if path == "." => BadInput(format!("{}{message}", prefix)),
            None => BadInput(format!("{prefix}{path}: {message}")),
        }
    })
}

/// The key and the known ones of serde's "unknown field `x`, expected one of `a`, `b`".
fn unknown_key(message: &str) -> Option<(&str, Vec<&str>)> {
    let rest = message.strip_prefix("unknown field `")?;
    let (key, rest) = rest.split_once('`')?;
    Some((key, rest.lines().next().unwrap_or("").split('`').skip(1).step_by(2).collect()))
}

fn merge(below: &mut Table, over: Table) {
    for (key, value) in over {
        match (below.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(over)) => merge(below, over),
            (_, value) => {
                below.insert(key, value);
            }
        }
    }
}

fn nested(path: &str, value: Value) -> Table {
    let value = path
        .rsplit('.')
        .fold(value, |value, key| Value::Table(Table::from_iter([(key.to_owned(), value)])));
    match value {
        Value::Table(table) => table,
        _ => unreachable!("a path has at least one key"),
    }
}

/// The dotted keys in which two tables differ.
pub fn differing_keys(a: &Table, b: &Table) -> Vec<String> {
    let mut keys: Vec<&String> = a.keys().chain(b.keys()).collect();
    keys.sort();
    keys.dedup();
    let mut differing = Vec::new();
    for key in keys {
        match (a.get(key), b.get(key)) {
            (Some(Value::Table(a)), Some(Value::Table(b))) => {
                differing.extend(differing_keys(a, b).iter().map(|below| format!("{key}.{below}")));
            }
            (a, b) if a == b => {}
            _ => differing.push(key.clone()),
        }
    }
    differing
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RunConfig;

    fn table(text: &str) -> Table {
        text.parse().expect("TOML")
    }

    #[test]
    fn later_layers_win_key_by_key() {
        let mut layers = Layers::default();
        layers.lay(table("seed = 1\n[encoder]\nhidden = 64\nlayers = 3"));
        layers.lay(table("[encoder]\nhidden = 256"));
        layers.assign("encoder.heads=4").expect("an assignment");
        layers.assign("corpus.tokenizer=some/folder").expect("an assignment");
        let config: RunConfig = layers.resolve().expect("valid");
        assert_eq!(
            (config.seed, config.encoder.hidden, config.encoder.layers, config.encoder.heads),
            (1, 256, 3, 4)
        );
        assert_eq!(config.corpus.tokenizer, "some/folder");
    }

    #[test]
    fn a_budget_replaces_the_one_below() {
        let mut layers = Layers::default();
        layers.lay(table("[budget]\nsteps = 10"));
        layers.set("budget.minutes", 2.0);
        let config: RunConfig = layers.resolve().expect("one budget");
        assert!(toml::to_string(&config).expect("TOML").contains("minutes = 2"));
    }

    #[test]
    fn another_objective_replaces_the_one_below_with_its_knobs() {
        let mut layers = Layers::default();
        layers.lay(table("[objective]\nname = \"rtd\"\n[objective.generator]\nsize = 0.125"));
        layers.set("objective.name", "rtd");
        layers.set("objective.discriminator_weight", 25.0);
        let of_rtd = layers.get("objective").cloned();
        let knobs = "name = \"rtd\"\ndiscriminator_weight = 25.0\n[generator]\nsize = 0.125";
        assert_eq!(of_rtd, Some(Value::Table(table(knobs))));
        layers.set("objective.name", "mlm");
        assert_eq!(layers.get("objective"), Some(&Value::Table(table("name = \"mlm\""))));
    }

    #[test]
    fn a_misspelt_key_is_named_with_the_nearest_known_one() {
        let error = |text: &str| {
            let mut layers = Layers::default();
            layers.assign(text).expect("an assignment");
            layers.resolve::<RunConfig>().expect_err("refused").to_string()
        };
        assert!(
            error("encoder.hiden=3")
                .starts_with("unknown key `encoder.hiden`; did you mean `hidden`?")
        );
        assert!(error("sed=3").starts_with("unknown key `sed`; did you mean `seed`?"));
        assert!(error("encoder.hidden=\"wide\"").starts_with("encoder.hidden: "));
    }

    #[test]
    fn the_resolved_configuration_is_read_back_equal() {
        let config = RunConfig::default();
        let text = toml::to_string(&config).expect("TOML");
        assert_eq!(parse::<RunConfig>(table(&text), "").expect("valid"), config);
    }

    #[test]
    fn differing_keys_are_dotted() {
        let (a, b) = (table("x = 1\n[t]\ny = 2\nz = 3"), table("x = 1\n[t]\ny = 5\nw = 3"));
        assert_eq!(differing_keys(&a, &b), ["t.w", "t.y", "t.z"]);
    }
}
