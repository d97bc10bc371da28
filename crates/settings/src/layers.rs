//! TOML tables laid over each other.

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use crate::Error;
use crate::parse::parse;

/// TOML tables laid over each other.
#[derive(Clone, Debug, Default)]
pub struct Layers(Table);

impl Layers {
    /// Lays `over` on top: its values win, and tables are merged key by key. A `budget` replaces
    /// the one below as a whole, since a run has one budget. An `objective` of another name does
    /// too, since each objective has its own settings.
    pub fn lay(&mut self, over: Table) {
        if over.contains_key("budget") {
            self.0.remove("budget");
        }
        let other = objective_name(&over);
        if other.is_some() && other != objective_name(&self.0) {
            self.0.remove("objective");
        }

        merge(&mut self.0, over);
    }

    /// Sets the value at a dotted path.
    pub fn set(&mut self, path: &str, value: impl Into<Value>) {
        self.lay(nested(path, value.into()));
    }

    /// Sets the value at a dotted path unless the path has a value.
    pub fn lay_under(&mut self, path: &str, value: impl Into<Value>) {
        let over = std::mem::replace(&mut self.0, nested(path, value.into()));
        self.lay(over);
    }

    /// The value of a top-level key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// Removes a top-level key with everything below it.
    pub fn remove(&mut self, key: &str) {
        self.0.remove(key);
    }

    /// Lays one `key.path=value` of the command line on top. A value that is not TOML is taken as a
    /// string.
    ///
    /// # Errors
    /// When there is no `=` or the path is empty.
    pub fn assign(&mut self, assignment: &str) -> Result<(), Error> {
        let parts = assignment.split_once('=').map(|(path, value)| (path.trim(), value.trim()));
        let Some((path, text)) =
            parts.filter(|(path, _)| path.split('.').all(|key| !key.is_empty()))
        else {
            return Err(Error(format!("--set {assignment}: write it as key.path=value")));
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
    pub fn resolve<T: DeserializeOwned>(self) -> Result<T, Error> {
        parse(self.0, "")
    }
}

/// The name of the objective that a table chooses.
fn objective_name(table: &Table) -> Option<&Value> {
    table.get("objective").and_then(|objective| objective.get("name"))
}

/// Merges `over` into `below` key by key.
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

/// A table with `value` at a dotted path.
fn nested(path: &str, value: Value) -> Table {
    let value = path
        .rsplit('.')
        .fold(value, |value, key| Value::Table(Table::from_iter([(key.to_owned(), value)])));
    match value {
        Value::Table(table) => table,
        _ => unreachable!("a path has at least one key"),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Config {
        seed: u64,
        encoder: Encoder,
        budget: Table,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Encoder {
        hidden: usize,
        layers: usize,
        path: String,
    }

    fn table(text: &str) -> Table {
        text.parse().expect("TOML")
    }

    #[test]
    fn later_layers_win_key_by_key() {
        let mut layers = Layers::default();
        layers.lay(table("seed = 1\n[encoder]\nhidden = 64\nlayers = 3"));
        layers.lay(table("[encoder]\nhidden = 256"));
        layers.assign("encoder.layers=4").expect("an assignment");
        layers.assign("encoder.path=some/folder").expect("an assignment");

        let Config { seed, encoder, .. } = layers.resolve().expect("valid");
        assert_eq!((seed, encoder.hidden, encoder.layers), (1, 256, 4));
        assert_eq!(encoder.path, "some/folder");
    }

    #[test]
    fn a_budget_replaces_the_one_below() {
        let mut layers = Layers::default();
        layers.lay(table("[budget]\nsteps = 10"));
        layers.set("budget.minutes", 2.0);
        let config: Config = layers.resolve().expect("valid");
        assert_eq!(config.budget, table("minutes = 2.0"));
    }

    #[test]
    fn another_objective_replaces_the_one_below_with_its_settings() {
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
            layers.resolve::<Config>().expect_err("refused").to_string()
        };

        assert!(
            error("encoder.hiden=3")
                .starts_with("unknown key `encoder.hiden`; did you mean `hidden`?")
        );
        assert!(error("sed=3").starts_with("unknown key `sed`; did you mean `seed`?"));
        assert!(error("encoder.hidden=\"wide\"").starts_with("encoder.hidden: "));
    }

    #[test]
    fn an_assignment_without_a_value_is_refused() {
        for text in ["seed", "=3", "encoder.=3"] {
            let error = Layers::default().assign(text).expect_err("refused").to_string();
            assert_eq!(error, format!("--set {text}: write it as key.path=value"));
        }
    }
}
