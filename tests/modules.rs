//! No circle of imports between the modules of a crate.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Attribute, File, Item, ItemMod, ItemUse, UseTree, Visibility};

/// The path of a module within its crate, such as `["tokenizer", "open"]`; of the crate itself
/// `[]`.
type ModulePath = Vec<String>;

/// What one file names of its own crate.
#[derive(Default)]
struct Names {
    /// Paths of items that the file uses, relative to the crate's root.
    used: Vec<ModulePath>,
    /// Names that the file re-exports, and the paths that they stand for.
    exported: BTreeMap<String, ModulePath>,
    /// Child modules that are compiled for tests only.
    test_modules: BTreeSet<String>,
}

/// Collects the [`Names`] of the file of `module`.
struct Collector<'a> {
    module: &'a [String],
    children: BTreeSet<String>,
    names: Names,
}

impl Collector<'_> {
    /// `segments` as a path from the crate's root; none for a path into another crate.
    fn absolute(&self, segments: &[String]) -> Option<ModulePath> {
        let (first, rest) = segments.split_first()?;
        let mut base = self.module.to_vec();
        match first.as_str() {
            "crate" => Some(rest.to_vec()),
            "self" => Some([base, rest.to_vec()].concat()),
            "super" => {
                let ups = segments.iter().take_while(|segment| *segment == "super").count();
                base.truncate(base.len().saturating_sub(ups));
                base.extend_from_slice(&segments[ups..]);
                Some(base)
            }
            child if self.children.contains(child) => Some([base, segments.to_vec()].concat()),
            _ => None,
        }
    }

    fn use_tree(&mut self, tree: &UseTree, prefix: &[String], is_export: bool) {
        let with = |name: &syn::Ident| [prefix, &[name.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.use_tree(&path.tree, &with(&path.ident), is_export),
            UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.use_tree(tree, prefix, is_export));
            }
            UseTree::Glob(_) => self.take(prefix, None),
            UseTree::Name(name) if name.ident == "self" => self.take(prefix, None),
            UseTree::Name(name) => {
                let exported = is_export.then(|| name.ident.to_string());
                self.take(&with(&name.ident), exported);
            }
            UseTree::Rename(rename) => {
                let exported = is_export.then(|| rename.rename.to_string());
                self.take(&with(&rename.ident), exported);
            }
        }
    }

    fn take(&mut self, segments: &[String], exported: Option<String>) {
        let Some(path) = self.absolute(segments) else { return };
        // That a module hands on what its own children define is no dependency.
        let is_own = path.starts_with(self.module);
        match exported {
            Some(name) if is_own => drop(self.names.exported.insert(name, path)),
            Some(name) => {
                self.names.exported.insert(name, path.clone());
                self.names.used.push(path);
            }
            None => self.names.used.push(path),
        }
    }
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
    })
}

impl<'ast> Visit<'ast> for Collector<'_> {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if !is_for_tests(&item.attrs) {
            self.use_tree(&item.tree, &[], !matches!(item.vis, Visibility::Inherited));
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if !is_for_tests(&item.attrs) {
            visit::visit_item_mod(self, item);
        } else if item.content.is_none() {
            self.names.test_modules.insert(item.ident.to_string());
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> =
            path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if segments.len() > 1 {
            self.take(&segments, None);
        }
        visit::visit_path(self, path);
    }
}

/// The modules of a crate and what each of them names.
fn modules(source: &Path) -> BTreeMap<ModulePath, Names> {
    let mut files = Vec::new();
    collect_files(source, &[], &mut files);
    let parsed: BTreeMap<ModulePath, File> = files
        .into_iter()
        .map(|(module, file)| {
            let text = fs::read_to_string(&file).expect("a source file");
            (module, syn::parse_file(&text).expect("Rust"))
        })
        .collect();

    let names = |(module, file): (&ModulePath, &File)| {
        let declared = file.items.iter().filter_map(|item| match item {
            Item::Mod(item) => Some(item.ident.to_string()),
            _ => None,
        });
        let mut collector =
            Collector { module, children: declared.collect(), names: Names::default() };
        collector.visit_file(file);
        (module.clone(), collector.names)
    };
    let mut modules: BTreeMap<ModulePath, Names> = parsed.iter().map(names).collect();

    let tests: Vec<ModulePath> = modules
        .iter()
        .flat_map(|(module, names)| {
            names
                .test_modules
                .iter()
                .map(|name| [module.as_slice(), std::slice::from_ref(name)].concat())
        })
        .collect();
    modules.retain(|module, _| !tests.iter().any(|test| module.starts_with(test)));
    modules
}

fn collect_files(folder: &Path, module: &[String], files: &mut Vec<(ModulePath, PathBuf)>) {
    for entry in fs::read_dir(folder).expect("a source folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let child = [module, std::slice::from_ref(&name)].concat();
        if path.is_dir() {
            collect_files(&path, &child, files);
        } else if ["lib", "mod"].contains(&name.as_str()) {
            files.push((module.to_vec(), path));
        } else if name != "main" && path.extension().is_some_and(|ending| ending == "rs") {
            files.push((child, path));
        }
    }
}

/// The module that defines what `path` names, through re-exports.
fn definition(modules: &BTreeMap<ModulePath, Names>, path: &[String]) -> ModulePath {
    let depth = (0..=path.len()).rev().find(|depth| modules.contains_key(&path[..*depth]));
    let (module, rest) = path.split_at(depth.expect("the crate's root is a module"));
    let exported = rest.first().and_then(|name| modules[module].exported.get(name));
    match exported {
        Some(target) if target != path => {
            definition(modules, &[target.as_slice(), &rest[1..]].concat())
        }
        _ => module.to_vec(),
    }
}

/// Which modules each module uses.
fn graph(source: &Path) -> BTreeMap<ModulePath, BTreeSet<ModulePath>> {
    let modules = modules(source);
    let uses = |(module, names): (&ModulePath, &Names)| {
        let used = names.used.iter().map(|path| definition(&modules, path));
        (module.clone(), used.filter(|used| used != module).collect())
    };
    modules.iter().map(uses).collect()
}

/// The modules of a circle, if there is one: each uses the next one, the last one the first.
fn circle(graph: &BTreeMap<ModulePath, BTreeSet<ModulePath>>) -> Option<Vec<ModulePath>> {
    let mut remaining = graph.clone();
    // Whoever uses nothing that remains is in no circle.
    loop {
        let done: BTreeSet<ModulePath> = remaining
            .iter()
            .filter(|(_, used)| !used.iter().any(|used| remaining.contains_key(used)))
            .map(|(module, _)| module.clone())
            .collect();
        if done.is_empty() {
            break;
        }
        remaining.retain(|module, _| !done.contains(module));
    }

    let mut path = vec![remaining.keys().next()?.clone()];
    loop {
        let used = &remaining[path.last().expect("one")];
        let next = used.iter().find(|used| remaining.contains_key(*used)).expect("a circle");
        if let Some(start) = path.iter().position(|module| module == next) {
            return Some(path.split_off(start));
        }
        path.push(next.clone());
    }
}

#[test]
fn no_modules_use_each_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let crates = fs::read_dir(root.join("crates")).expect("crates");
    let members = crates.map(|entry| entry.expect("an entry").path());
    for member in members.chain([root.to_owned()]) {
        if let Some(circle) = circle(&graph(&member.join("src"))) {
            let circle: Vec<String> = circle.iter().map(|module| module.join("::")).collect();
            panic!("{}: {} use each other", member.display(), circle.join(" -> "));
        }
    }
}

#[test]
fn a_circle_is_found_through_a_re_export_and_tests_do_not_count() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        fs::write(folder.path().join(name), text).expect("written");
    };
    write("lib.rs", "mod a;\nmod b;\npub use a::A;\n#[cfg(test)]\nmod tests;\n");
    write("a.rs", "pub struct A(crate::b::B);\n");
    write("b.rs", "#[cfg(test)]\nuse crate::A;\npub struct B;\n");
    write("tests.rs", "use crate::A;\n");
    assert_eq!(circle(&graph(folder.path())), None);

    write("b.rs", "pub struct B;\nfn b(_: super::A) {}\n");
    let circle = circle(&graph(folder.path())).expect("a circle");
    assert_eq!(circle.concat(), ["a", "b"]);
}
