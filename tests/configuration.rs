//! `docs/configuration.md` lists every key of the configuration, and is made from the code.
//!
//! `cargo test --test configuration -- --ignored` (or `make configuration`) writes the page anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use bert_variants::config::RunConfig;
use bert_variants::registry;
use syn::{Attribute, Expr, Fields, ImplItem, Item, Lit, Meta, Type};
use toml::{Table, Value};

/// What precedes the tables on the page.
const INTRODUCTION: &str = "# Configuration\n
Every key of a run's configuration (`run.toml`), of `--config FILE` and of `--set KEY.PATH=VALUE`. \
Values are TOML. A preset, a file and flags are laid over the defaults in this order; the run's \
folder keeps the result, which can be run again. A key that is left out has its default. \
A list of values is given where its key first stands.\n
This page is generated from the code by `make configuration`, and a test fails where it is not \
current. [objectives.md](objectives.md) tells the ideas behind the knobs of the objectives.\n";

/// A struct whose fields are keys.
#[derive(Debug)]
struct KeyTable {
    doc: String,
    fields: Vec<Key>,
}

#[derive(Debug)]
struct Key {
    name: String,
    kind: TypeName,
    doc: String,
}

/// A type as a crate names it, without `Option`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct TypeName {
    krate: String,
    name: String,
}

/// An enum whose variants are values.
#[derive(Debug)]
struct Choices(Vec<(String, String)>);

/// The types of all crates by their names, as far as their fields or variants are all plain.
#[derive(Debug, Default)]
struct Types {
    tables: BTreeMap<TypeName, KeyTable>,
    choices: BTreeMap<TypeName, Choices>,
    /// The configuration's type of each objective.
    objectives: BTreeMap<String, TypeName>,
}

/// The documentation of an item, as one line without links.
fn doc(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(text) => Some(text.value().trim().to_owned()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    });
    let text = lines.collect::<Vec<String>>().join(" ");
    text.replace("[`", "`").replace("`]", "`").replace("crate::", "")
}

/// What selects a variant in TOML. Enums that read themselves take a variant without fields by its
/// name, one with a single number by the number, and one with several by a table.
fn variant_value(variant: &syn::Variant, rename_all: Option<&str>) -> String {
    let ident = variant.ident.to_string();
    match &variant.fields {
        Fields::Unit => {
            let renamed = serde_argument(&variant.attrs, "rename");
            let name = renamed.unwrap_or_else(|| match rename_all {
                Some("lowercase") => ident.to_lowercase(),
                _ => kebab_case(&ident),
            });
            format!("\"{name}\"")
        }
        Fields::Unnamed(_) => "a whole number".to_owned(),
        Fields::Named(fields) => {
            let names = fields.named.iter().filter_map(|field| field.ident.as_ref());
            let pairs: Vec<String> = names.map(|name| format!("{name} = N")).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
    }
}

/// The value of an argument of `#[serde(...)]`, such as `rename`.
fn serde_argument(attributes: &[Attribute], name: &str) -> Option<String> {
    let mut found = None;
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
        let _ = attribute.parse_nested_meta(|meta| {
            if let Ok(value) = meta.value() {
                let value: Expr = value.parse()?;
                if meta.path.is_ident(name)
                    && let Expr::Lit(literal) = value
                    && let Lit::Str(text) = literal.lit
                {
                    found = Some(text.value());
                }
            }
            Ok(())
        });
    }
    found
}

fn kebab_case(name: &str) -> String {
    let mut kebab = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.extend(letter.to_lowercase());
    }
    kebab
}

/// The last name of a path type, and its argument, such as `Option` and `f64`.
fn type_name(kind: &Type) -> Option<(String, Option<String>)> {
    if let Type::Tuple(tuple) = kind {
        let parts = tuple.elems.iter().map(|part| Some(type_name(part)?.0));
        return Some((parts.collect::<Option<Vec<String>>>()?.join(" and "), None));
    }
    let Type::Path(path) = kind else { return None };
    let last = path.path.segments.last()?;
    let argument = match &last.arguments {
        syn::PathArguments::AngleBracketed(arguments) => match arguments.args.first()? {
            syn::GenericArgument::Type(inner) => Some(type_name(inner)?.0),
            _ => None,
        },
        _ => None,
    };
    Some((last.ident.to_string(), argument))
}

impl Types {
    fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let crates = fs::read_dir(root.join("crates")).expect("a folder");
        let crates = crates.map(|entry| entry.expect("an entry").path());

        let mut types = Self::default();
        for folder in crates.chain([root.to_owned()]) {
            let krate = folder.file_name().expect("a name").to_string_lossy();
            let mut files = Vec::new();
            collect_files(&folder.join("src"), &mut files);
            for file in files {
                let text = fs::read_to_string(file).expect("a source file");
                let items = syn::parse_file(&text).expect("Rust").items;
                items.iter().for_each(|item| types.add(&krate, item));
            }
        }
        types
    }

    /// The type called `name` in a crate: the crate's own, or else the only one of that name.
    fn find<'t, T>(types: &'t BTreeMap<TypeName, T>, name: &TypeName) -> Option<&'t T> {
        types.get(name).or_else(|| {
            let mut others = types.iter().filter(|(other, _)| other.name == name.name);
            let (_, found) = others.next()?;
            assert!(others.next().is_none(), "several crates have a type called {}", name.name);
            Some(found)
        })
    }

    /// The table of keys called `name`. TOML's own tables are values.
    fn table(&self, name: &TypeName) -> Option<&KeyTable> {
        let is_value = name.name == "Table" || self.choices.contains_key(name);
        if is_value { None } else { Self::find(&self.tables, name) }
    }

    fn add(&mut self, krate: &str, item: &Item) {
        match item {
            Item::Struct(item) => self.add_struct(krate, item),
            Item::Enum(item) => self.add_enum(krate, item),
            Item::Impl(item) => self.add_objective(krate, item),
            _ => {}
        }
    }

    fn add_struct(&mut self, krate: &str, item: &syn::ItemStruct) {
        let Fields::Named(fields) = &item.fields else { return };
        let field = |field: &syn::Field| {
            let (outer, inner) = type_name(&field.ty)?;
            let kind = match (outer.as_str(), inner) {
                ("Option", Some(inner)) => inner,
                ("Vec", Some(inner)) => format!("list of {inner}"),
                _ => outer,
            };
            let kind = TypeName { krate: krate.to_owned(), name: kind };
            let name = field.ident.as_ref()?.to_string();
            Some(Key { name, kind, doc: doc(&field.attrs) })
        };

        let fields = fields.named.iter().map(field).collect::<Option<Vec<Key>>>();
        let name = TypeName { krate: krate.to_owned(), name: item.ident.to_string() };
        if let Some(fields) = fields {
            let table = KeyTable { doc: doc(&item.attrs), fields };
            self.tables.insert(name, table);
        }
    }

    fn add_enum(&mut self, krate: &str, item: &syn::ItemEnum) {
        let rename_all = serde_argument(&item.attrs, "rename_all");
        let variant = |variant: &syn::Variant| {
            (variant_value(variant, rename_all.as_deref()), doc(&variant.attrs))
        };
        let choices = item.variants.iter().map(variant).collect();
        let name = TypeName { krate: krate.to_owned(), name: item.ident.to_string() };
        self.choices.insert(name, Choices(choices));
    }

    /// Remembers NAME and Config of an `impl Objective for ...`.
    fn add_objective(&mut self, krate: &str, item: &syn::ItemImpl) {
        let of_objective = item.trait_.as_ref().is_some_and(|(_, path, _)| {
            path.segments.last().is_some_and(|segment| segment.ident == "Objective")
        });
        if !of_objective {
            return;
        }

        let name = item.items.iter().find_map(|item| match item {
            ImplItem::Const(constant) if constant.ident == "NAME" => match &constant.expr {
                Expr::Lit(literal) => match &literal.lit {
                    Lit::Str(text) => Some(text.value()),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        });

        let config = item.items.iter().find_map(|item| match item {
            ImplItem::Type(alias) if alias.ident == "Config" => Some(type_name(&alias.ty)?.0),
            _ => None,
        });

        if let (Some(name), Some(config)) = (name, config) {
            let config = TypeName { krate: krate.to_owned(), name: config };
            self.objectives.insert(name, config);
        }
    }

    /// Appends the table `kind` that stands at `path` to the page, and the tables within it.
    fn write(&self, page: &mut String, path: &str, kind: &TypeName, defaults: &Table) {
        let table = self.table(kind).expect("a table");
        let heading = if path.is_empty() { "Top level".to_owned() } else { format!("`[{path}]`") };
        let _ = write!(page, "\n### {heading}\n\n{}\n\n", table.doc);
        page.push_str("| key | value | default | |\n|---|---|---|---|\n");
        let is_table = |key: &&Key| self.table(&key.kind).is_some();
        let (tables, values): (Vec<&Key>, Vec<&Key>) = table.fields.iter().partition(is_table);
        for key in &values {
            let default = defaults.get(&key.name).map_or_else(|| "none".to_owned(), shown);
            let (value, doc) = (self.value(key), key.doc.replace('|', "\\|"));
            let _ = writeln!(page, "| `{}` | {value} | {default} | {doc} |", key.name);
        }

        for key in &values {
            let Some(Choices(choices)) = Self::find(&self.choices, &key.kind) else { continue };
            let list: String =
                choices.iter().map(|(name, doc)| format!("- `{name}`: {doc}\n")).collect();
            // The same key with the same values may be in several tables.
            let list = format!("\n`{}`:\n\n{list}", key.name);
            if !page.contains(&list) {
                page.push_str(&list);
            }
        }

        for key in tables {
            let path =
                if path.is_empty() { key.name.clone() } else { format!("{path}.{}", key.name) };
            let empty = Table::new();
            let defaults = defaults.get(&key.name).and_then(Value::as_table).unwrap_or(&empty);
            self.write(page, &path, &key.kind, defaults);
        }
    }

    /// What a key takes.
    fn value(&self, key: &Key) -> String {
        let plain = match key.kind.name.as_str() {
            "u64" | "usize" | "u32" => "whole number",
            "f64" => "number",
            "bool" => "true or false",
            "String" => "text",
            "PathBuf" => "path",
            "Table" => "table",
            "list of String" => "list of texts",
            "list of usize" | "list of u32" => "list of whole numbers",
            "list of f64 and usize" => "list of pairs of a number and a whole number",
            other => match Self::find(&self.choices, &key.kind) {
                Some(Choices(choices)) if choices.len() <= 3 => {
                    let names: Vec<String> =
                        choices.iter().map(|(name, _)| format!("`{name}`")).collect();
                    return names.join(", ");
                }
                Some(_) => "one of several",
                None => {
                    panic!("`{}` has the type {other}, which this page does not know", key.name)
                }
            },
        };
        plain.to_owned()
    }

    /// The type of the whole configuration.
    fn root(&self) -> TypeName {
        let mut names = self.tables.keys().filter(|kind| kind.name == "RunConfig");
        names.next().expect("a configuration").clone()
    }

    /// The page.
    fn page(&self) -> String {
        let mut page = INTRODUCTION.to_owned();
        let mut defaults = Table::try_from(RunConfig::default()).expect("a table");
        let data = Table::try_from(finetune::DataConfig::default()).expect("a table");
        defaults.insert("data".to_owned(), Value::Table(data));

        page.push_str("\n## Every run\n");
        self.write(&mut page, "", &self.root(), &defaults);
        for (name, config) in &self.objectives {
            let entry = registry::find(name).expect("every objective is registered");
            let defaults = (entry.resolve)(Table::new()).expect("the defaults are valid");
            let _ = write!(page, "\n## `objective.name = \"{name}\"`\n\n{}.\n", entry.about);
            self.write(&mut page, "objective", config, &defaults);
        }
        page
    }

    /// All dotted keys below the table `kind` at `path`, those of tables among them.
    fn keys(&self, path: &str, kind: &TypeName) -> BTreeSet<String> {
        let mut keys = BTreeSet::new();
        for key in &self.table(kind).expect("a table").fields {
            let path =
                if path.is_empty() { key.name.clone() } else { format!("{path}.{}", key.name) };
            if self.table(&key.kind).is_some() {
                keys.extend(self.keys(&path, &key.kind));
            }
            keys.insert(path);
        }
        keys
    }
}

/// A default as the page shows it.
fn shown(value: &Value) -> String {
    match value {
        Value::Table(_) => String::new(),
        Value::Float(number) => format!("`{number:?}`"),
        other => format!("`{other}`"),
    }
}

fn collect_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let is_test = path.file_stem().is_some_and(|name| name == "tests");
        if path.is_dir() && !is_test {
            collect_files(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "rs") && !is_test {
            files.push(path);
        }
    }
}

fn page_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md")
}

/// The keys that the program knows in the table at `path`: it names them when it meets another.
fn known_keys(path: &str, objective: &str) -> BTreeSet<String> {
    let mut layers = settings::Layers::default();
    layers.set("objective.name", objective);
    layers.set(&if path.is_empty() { "zzz".to_owned() } else { format!("{path}.zzz") }, 1);
    let resolved = layers.resolve().map_err(anyhow::Error::from).and_then(registry::resolve);
    let error = resolved.expect_err("an unknown key").to_string();
    let (_, known) = error.split_once("Known here: ").unwrap_or_else(|| panic!("{path}: {error}"));
    known.split(", ").map(str::to_owned).collect()
}

#[test]
fn the_page_is_current() {
    let written = fs::read_to_string(page_path()).expect("docs/configuration.md");
    let current = Types::read().page();
    assert!(written == current, "docs/configuration.md is not current; run `make configuration`");
}

#[test]
fn the_page_lists_the_keys_that_set_knows_and_no_others() {
    let types = Types::read();

    let check = |root: &str, kind: &TypeName, objective: &str| {
        let keys = types.keys(root, kind);
        let is_table = |path: &String| keys.iter().any(|key| key.starts_with(&format!("{path}.")));
        let tables = keys.iter().filter(|path| is_table(path)).cloned();
        for table in tables.chain([root.to_owned()]) {
            let prefix = if table.is_empty() { String::new() } else { format!("{table}.") };
            let listed: BTreeSet<String> = keys
                .iter()
                .filter_map(|key| key.strip_prefix(&prefix))
                .filter(|rest| !rest.contains('.'))
                .map(str::to_owned)
                .collect();
            assert_eq!(listed, known_keys(&table, objective), "[{table}] of {objective}");
        }
    };

    check("", &types.root(), registry::DEFAULT);
    for (name, config) in &types.objectives {
        check("objective", config, name);
    }
}

#[test]
#[ignore = "writes docs/configuration.md"]
fn write_the_page() {
    fs::write(page_path(), Types::read().page()).expect("written");
}
