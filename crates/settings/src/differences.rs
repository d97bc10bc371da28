//! The keys in which two TOML tables differ.

use toml::{Table, Value};

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

    #[test]
    fn differing_keys_are_dotted() {
        let table = |text: &str| text.parse::<Table>().expect("TOML");
        let one = table("x = 1\n[t]\ny = 2\nz = 3");
        let other = table("x = 1\n[t]\ny = 5\nw = 3");
        assert_eq!(differing_keys(&one, &other), ["t.w", "t.y", "t.z"]);
    }
}
