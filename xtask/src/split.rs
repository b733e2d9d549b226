//! Cuts a bound module in two after it is linked: what every viewer needs at once, and what only some need, or later.
//!
//! The second module works on the first one's memory and table. What it defines has places in that table through which
//! the first module calls it. Until the second is instantiated a stub stands in each place: it has the second loaded,
//! there and then, and calls through the same place again. So the engine stays one program in one piece of source, and
//! what is cut off is there whenever it is called; whoever loads it ahead of the first call spares the wait.

use std::collections::{BTreeMap, BTreeSet};

use walrus::ir::dfs_in_order;
use walrus::ir::{Call, CallIndirect, Const, Instr, InstrSeq, InstrSeqId, RefFunc, Value, Visitor};
use walrus::{
    ConstExpr, ElementItems, ElementKind, ExportItem, FunctionBuilder, FunctionId, FunctionKind,
    GlobalId, GlobalKind, ImportKind, ImportedFunction, LocalFunction, LocalId, Module, TableId,
};

use crate::names::short;

/// How the second module calls the first in its imports.
const FIRST: &str = "p";

/// A module in two.
pub(crate) struct Halves {
    /// What is always loaded.
    pub(crate) first: Vec<u8>,
    /// What may come later. It imports the first one's exports as `p`.
    pub(crate) second: Vec<u8>,
    /// Names of the functions that the second has.
    pub(crate) moved: Vec<String>,
}

/// Cuts off the functions whose names `is_cut` says, and what only they use. `is_loader` says the name of the function
/// that loads the second module, and `number` is what it is given: it takes one `i32`.
pub(crate) fn split(
    wasm: &[u8],
    is_cut: impl Fn(&str) -> bool,
    is_loader: impl Fn(&str) -> bool,
    number: i32,
) -> Result<Halves, String> {
    let (mut first, mut second) = (parse(wasm)?, parse(wasm)?);
    let twins = Twins::new(&first, &second);
    let table = first
        .tables
        .main_function_table()
        .map_err(|error| error.to_string())?
        .ok_or("the module has no table of functions")?;
    let memory = first.memories.iter().next().ok_or("the module has no memory")?.id();

    let moved = moved(&first, &is_cut);
    let mut used = Used::default();
    for id in &moved {
        used.look_into(first.funcs.get(*id).kind.unwrap_local());
    }
    let border: BTreeSet<FunctionId> = first
        .funcs
        .iter_local()
        .filter(|(id, _)| !moved.contains(id))
        .flat_map(|(_, function)| Used::of(function).functions)
        .chain(exported(&first))
        .filter(|id| moved.contains(id))
        .collect();

    // Places in the table: those that moved functions have already, and new ones for those that are called.
    let mut places = tabled(&first, table, &moved)?;
    let mut next = first.tables.get(table).initial;
    let mut place_of = BTreeMap::new();
    for id in &border {
        let place = places.iter().find(|(_, held)| *held == id).map(|(place, _)| *place);
        let place = place.unwrap_or_else(|| {
            next += 1;
            places.insert(next - 1, *id);
            next - 1
        });
        place_of.insert(*id, place);
    }

    let loader = first
        .funcs
        .iter_local()
        .map(|(id, _)| id)
        .find(|id| !moved.contains(id) && is_loader(&name_of(&first, *id)))
        .ok_or("the module has no function that loads the rest")?;

    // The first: calls of what has moved go through the table.
    call_through_table(&mut first, table, &place_of, &moved)?;
    let grown = first.tables.get_mut(table);
    grown.initial = next;
    grown.maximum = grown.maximum.map(|maximum| maximum.max(next));
    let stubs = stubs(&mut first, table, &places, (loader, number))?;
    vacate(&mut first, table, &stubs);
    // What a part that was cut off before calls of this one, it calls by the stub.
    for export in first.exports.iter_mut() {
        if let ExportItem::Function(id) = &mut export.item
            && let Some(place) = place_of.get(id)
        {
            *id = stubs[place];
        }
    }
    let mut exports = Exports::new(&first);
    let shared: Vec<FunctionId> =
        used.functions.iter().copied().filter(|id| !moved.contains(id)).collect();
    let functions: Vec<_> = shared
        .iter()
        .map(|id| (*id, exports.name(&mut first, ExportItem::Function(*id))))
        .collect();
    let globals: Vec<_> = used
        .globals
        .iter()
        .map(|id| (*id, exports.name(&mut first, ExportItem::Global(*id))))
        .collect();
    used.tables.insert(table);
    let tables: Vec<_> = used
        .tables
        .iter()
        .map(|id| (*id, exports.name(&mut first, ExportItem::Table(*id))))
        .collect();
    let memory_name = exports.name(&mut first, ExportItem::Memory(memory));
    for id in &moved {
        first.funcs.delete(*id);
    }

    // The second: what it uses of the first is imported, and nothing else of that is left.
    let names = moved.iter().map(|id| name_of(&second, twins.functions[id])).collect();
    empty(&mut second);
    for (id, name) in &functions {
        import_function(&mut second, twins.functions[id], name);
    }
    for (id, name) in &globals {
        let id = twins.globals[id];
        let import = second.imports.add(FIRST, name, ImportKind::Global(id));
        second.globals.get_mut(id).kind = GlobalKind::Import(import);
    }
    for (id, name) in &tables {
        let original = first.tables.get(*id);
        let id = twins.tables[id];
        let import = second.imports.add(FIRST, name, ImportKind::Table(id));
        let imported = second.tables.get_mut(id);
        imported.import = Some(import);
        imported.elem_segments.clear();
        // Another part may let it grow further.
        (imported.initial, imported.maximum) = (original.initial, None);
    }
    let memory = second.memories.iter().next().ok_or("the module has no memory")?.id();
    let import = second.imports.add(FIRST, &memory_name, ImportKind::Memory(memory));
    let imported = second.memories.get_mut(memory);
    imported.import = Some(import);
    imported.data_segments.clear();
    let places = places.iter().map(|(place, id)| (*place, twins.functions[id])).collect();
    fill(&mut second, twins.tables[&table], &places);

    for module in [&mut first, &mut second] {
        walrus::passes::gc::run(module);
    }
    Ok(Halves { first: first.emit_wasm(), second: second.emit_wasm(), moved: names })
}

fn parse(wasm: &[u8]) -> Result<Module, String> {
    Module::from_buffer(wasm).map_err(|error| format!("the module cannot be read: {error:#}"))
}

fn name_of(module: &Module, id: FunctionId) -> String {
    module.funcs.get(id).name.clone().unwrap_or_default()
}

/// What two copies of a module call the same things.
struct Twins {
    functions: BTreeMap<FunctionId, FunctionId>,
    globals: BTreeMap<GlobalId, GlobalId>,
    tables: BTreeMap<TableId, TableId>,
}

impl Twins {
    fn new(first: &Module, second: &Module) -> Self {
        let functions = first.funcs.iter().zip(second.funcs.iter());
        let globals = first.globals.iter().zip(second.globals.iter());
        let tables = first.tables.iter().zip(second.tables.iter());
        Self {
            functions: functions.map(|(a, b)| (a.id(), b.id())).collect(),
            globals: globals.map(|(a, b)| (a.id(), b.id())).collect(),
            tables: tables.map(|(a, b)| (a.id(), b.id())).collect(),
        }
    }
}

/// What functions refer to.
#[derive(Default)]
struct Used {
    functions: BTreeSet<FunctionId>,
    globals: BTreeSet<GlobalId>,
    tables: BTreeSet<TableId>,
}

impl Used {
    fn of(function: &LocalFunction) -> Self {
        let mut used = Self::default();
        used.look_into(function);
        used
    }

    fn look_into(&mut self, function: &LocalFunction) {
        dfs_in_order(self, function, function.entry_block());
    }
}

impl<'instr> Visitor<'instr> for Used {
    fn visit_function_id(&mut self, id: &FunctionId) {
        self.functions.insert(*id);
    }

    fn visit_global_id(&mut self, id: &GlobalId) {
        self.globals.insert(*id);
    }

    fn visit_table_id(&mut self, id: &TableId) {
        self.tables.insert(*id);
    }
}

fn exported(module: &Module) -> impl Iterator<Item = FunctionId> + '_ {
    module.exports.iter().filter_map(|export| match export.item {
        ExportItem::Function(id) => Some(id),
        _ => None,
    })
}

/// The functions to move: all that cannot be reached without going through one that `is_cut` names.
fn moved(module: &Module, is_cut: &impl Fn(&str) -> bool) -> BTreeSet<FunctionId> {
    let cut: BTreeSet<FunctionId> = module
        .funcs
        .iter_local()
        .map(|(id, _)| id)
        .filter(|id| is_cut(&name_of(module, *id)))
        .collect();
    let in_tables = module.elements.iter().flat_map(|element| match &element.items {
        ElementItems::Functions(ids) => ids.clone(),
        ElementItems::Expressions(_, items) => items
            .iter()
            .filter_map(|item| match item {
                ConstExpr::RefFunc(id) => Some(*id),
                _ => None,
            })
            .collect(),
    });
    let mut stay: BTreeSet<FunctionId> = BTreeSet::new();
    let mut ahead: Vec<FunctionId> =
        exported(module).chain(in_tables).chain(module.start).collect();
    while let Some(id) = ahead.pop() {
        if cut.contains(&id) || !stay.insert(id) {
            continue;
        }
        if let FunctionKind::Local(function) = &module.funcs.get(id).kind {
            ahead.extend(Used::of(function).functions);
        }
    }
    module.funcs.iter_local().map(|(id, _)| id).filter(|id| !stay.contains(id)).collect()
}

/// Places of functions in the table: of those that move.
fn tabled(
    module: &Module,
    table: TableId,
    moved: &BTreeSet<FunctionId>,
) -> Result<BTreeMap<u64, FunctionId>, String> {
    let mut places = BTreeMap::new();
    for element in module.elements.iter() {
        let ElementKind::Active { table: into, offset } = &element.kind else { continue };
        let ElementItems::Functions(ids) = &element.items else { continue };
        if *into != table {
            continue;
        }
        let ConstExpr::Value(Value::I32(offset)) = offset else {
            return Err("a segment of the table begins at no constant".to_owned());
        };
        let from = u64::from(offset.cast_unsigned());
        places.extend((from..).zip(ids.iter().copied()).filter(|(_, id)| moved.contains(id)));
    }
    Ok(places)
}

/// For each place in the table a function that has the second module loaded, and then calls what is there.
fn stubs(
    module: &mut Module,
    table: TableId,
    places: &BTreeMap<u64, FunctionId>,
    (loader, number): (FunctionId, i32),
) -> Result<BTreeMap<u64, FunctionId>, String> {
    let mut stubs = BTreeMap::new();
    for (place, id) in places {
        let ty = module.funcs.get(*id).ty();
        let (params, results) = module.types.params_results(ty);
        let (params, results) = (params.to_vec(), results.to_vec());
        let mut builder = FunctionBuilder::new(&mut module.types, &params, &results);
        let args: Vec<LocalId> = params.iter().map(|ty| module.locals.add(*ty)).collect();
        let mut body = builder.func_body();
        body.i32_const(number).call(loader);
        for arg in &args {
            body.local_get(*arg);
        }
        let slot = i32::try_from(*place).map_err(|_| "the table is too large")?;
        body.i32_const(slot).call_indirect(ty, table);
        stubs.insert(*place, builder.finish(args, &mut module.funcs));
    }
    Ok(stubs)
}

/// Puts the stubs into their places, in the segments that are there and in new ones.
fn vacate(module: &mut Module, table: TableId, stubs: &BTreeMap<u64, FunctionId>) {
    let mut left = stubs.clone();
    for element in module.elements.iter_mut() {
        let ElementKind::Active { table: into, offset } = &element.kind else { continue };
        let (ElementItems::Functions(ids), ConstExpr::Value(Value::I32(offset))) =
            (&mut element.items, offset)
        else {
            continue;
        };
        if *into != table {
            continue;
        }
        for (place, id) in (u64::from(offset.cast_unsigned())..).zip(ids.iter_mut()) {
            if let Some(stub) = left.remove(&place) {
                *id = stub;
            }
        }
    }
    fill(module, table, &left);
}

/// All sequences of instructions of a function.
#[derive(Default)]
struct Sequences(Vec<InstrSeqId>);

impl<'instr> Visitor<'instr> for Sequences {
    fn start_instr_seq(&mut self, sequence: &'instr InstrSeq) {
        self.0.push(sequence.id());
    }
}

fn for_each_sequence(function: &mut LocalFunction, mut visit: impl FnMut(&mut InstrSeq)) {
    let mut sequences = Sequences::default();
    dfs_in_order(&mut sequences, function, function.entry_block());
    for id in sequences.0 {
        visit(function.block_mut(id));
    }
}

fn call_through_table(
    module: &mut Module,
    table: TableId,
    place_of: &BTreeMap<FunctionId, u64>,
    moved: &BTreeSet<FunctionId>,
) -> Result<(), String> {
    let types: BTreeMap<_, _> =
        place_of.keys().map(|id| (*id, module.funcs.get(*id).ty())).collect();
    let mut taken = None;
    for (_, function) in module.funcs.iter_local_mut().filter(|(id, _)| !moved.contains(id)) {
        for_each_sequence(function, |sequence| {
            let mut at = 0;
            while at < sequence.instrs.len() {
                let (instr, place) = sequence.instrs[at].clone();
                match instr {
                    Instr::Call(Call { func }) if place_of.contains_key(&func) => {
                        let slot = i32::try_from(place_of[&func]).unwrap_or(i32::MAX);
                        let (ty, value) = (types[&func], Value::I32(slot));
                        sequence.instrs[at].0 = Instr::CallIndirect(CallIndirect { ty, table });
                        sequence.instrs.insert(at, (Instr::Const(Const { value }), place));
                        at += 1;
                    }
                    Instr::RefFunc(RefFunc { func }) if moved.contains(&func) => {
                        taken = Some(func);
                    }
                    _ => {}
                }
                at += 1;
            }
        });
    }
    match taken {
        Some(id) => Err(format!("{} is taken by reference", name_of(module, id))),
        None => Ok(()),
    }
}

/// Names of the first module's exports.
struct Exports {
    next: usize,
}

impl Exports {
    fn new(module: &Module) -> Self {
        Self { next: module.exports.iter().count() }
    }

    /// The name under which an item is exported, from now on if it was not.
    fn name(&mut self, module: &mut Module, item: ExportItem) -> String {
        let same = |other: &ExportItem| match (other, &item) {
            (ExportItem::Function(a), ExportItem::Function(b)) => a == b,
            (ExportItem::Table(a), ExportItem::Table(b)) => a == b,
            (ExportItem::Memory(a), ExportItem::Memory(b)) => a == b,
            (ExportItem::Global(a), ExportItem::Global(b)) => a == b,
            _ => false,
        };
        if let Some(export) = module.exports.iter().find(|export| same(&export.item)) {
            return export.name.clone();
        }
        loop {
            let name = short(self.next);
            self.next += 1;
            if module.exports.iter().all(|export| export.name != name) {
                module.exports.add(&name, item);
                return name;
            }
        }
    }
}

/// Leaves only definitions: no exports, data, elements or start, and no imports that nobody uses.
fn empty(module: &mut Module) {
    let exports: Vec<_> = module.exports.iter().map(walrus::Export::id).collect();
    exports.into_iter().for_each(|id| module.exports.delete(id));
    let data: Vec<_> = module.data.iter().map(walrus::Data::id).collect();
    data.into_iter().for_each(|id| module.data.delete(id));
    let elements: Vec<_> = module.elements.iter().map(walrus::Element::id).collect();
    elements.into_iter().for_each(|id| module.elements.delete(id));
    module.start = None;
}

fn import_function(module: &mut Module, id: FunctionId, name: &str) {
    let ty = module.funcs.get(id).ty();
    if let FunctionKind::Import(imported) = &module.funcs.get(id).kind {
        let import = imported.import;
        module.imports.delete(import);
    }
    let import = module.imports.add(FIRST, name, ImportKind::Function(id));
    module.funcs.get_mut(id).kind = FunctionKind::Import(ImportedFunction { import, ty });
}

/// Segments that bring functions to their places in the table.
fn fill(module: &mut Module, table: TableId, places: &BTreeMap<u64, FunctionId>) {
    let mut runs: Vec<(u64, Vec<FunctionId>)> = Vec::new();
    for (place, id) in places {
        match runs.last_mut() {
            Some((from, run)) if *from + run.len() as u64 == *place => run.push(*id),
            _ => runs.push((*place, vec![*id])),
        }
    }
    for (from, run) in runs {
        let offset = ConstExpr::Value(Value::I32(i32::try_from(from).unwrap_or(i32::MAX)));
        let kind = ElementKind::Active { table, offset };
        let id = module.elements.add(kind, ElementItems::Functions(run));
        module.tables.get_mut(table).elem_segments.insert(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use walrus::ValType;

    /// `run` (exported) calls `shared`, and `cut::enter`, which calls `cut_off`, which calls `shared`.
    fn module() -> Vec<u8> {
        let mut module = Module::default();
        module.memories.add_local(false, false, 1, None, None);
        let function = |module: &mut Module, name: &str, calls: &[FunctionId]| {
            let mut builder = FunctionBuilder::new(&mut module.types, &[], &[ValType::I32]);
            let mut body = builder.name(name.to_owned()).func_body();
            for id in calls {
                body.call(*id).drop();
            }
            body.i32_const(1);
            builder.finish(Vec::new(), &mut module.funcs)
        };
        let mut loader = FunctionBuilder::new(&mut module.types, &[ValType::I32], &[]);
        loader.name("load".to_owned());
        let number = module.locals.add(ValType::I32);
        let loader = loader.finish(vec![number], &mut module.funcs);
        module.exports.add("load", loader);
        let shared = function(&mut module, "shared", &[]);
        let cut_off = function(&mut module, "cut_off", &[shared]);
        let enter = function(&mut module, "cut::enter", &[cut_off]);
        let run = function(&mut module, "run", &[shared, enter]);
        module.exports.add("run", run);
        let table = module.tables.add_local(false, 1, Some(1), walrus::RefType::FUNCREF);
        let offset = ConstExpr::Value(Value::I32(0));
        let kind = ElementKind::Active { table, offset };
        let element = module.elements.add(kind, ElementItems::Functions(vec![shared]));
        module.tables.get_mut(table).elem_segments.insert(element);
        module.emit_wasm()
    }

    fn names(wasm: &[u8]) -> Vec<String> {
        let module = Module::from_buffer(wasm).expect("a module");
        module.funcs.iter_local().map(|(id, _)| name_of(&module, id)).collect()
    }

    #[test]
    fn what_only_the_cut_part_uses_moves_along_and_what_both_use_is_imported() {
        let halves = split(&module(), |name| name.starts_with("cut::"), |name| name == "load", 1)
            .expect("two halves");
        let (mut first, mut second) = (names(&halves.first), names(&halves.second));
        first.sort();
        second.sort();
        // The stub has no name.
        assert_eq!(first, ["", "load", "run", "shared"]);
        assert_eq!(second, ["cut::enter", "cut_off"]);
        let second = Module::from_buffer(&halves.second).expect("a module");
        let first = Module::from_buffer(&halves.first).expect("a module");
        for import in second.imports.iter() {
            assert_eq!(import.module, FIRST);
            assert!(first.exports.iter().any(|export| export.name == import.name));
        }
        // One more place than the linker gave out: a stub's at first, then filled by the second module.
        let table = first.tables.iter().next().expect("a table");
        assert_eq!((table.initial, table.maximum), (2, Some(2)));
        assert_eq!((first.elements.iter().count(), second.elements.iter().count()), (2, 1));
    }

    #[test]
    fn nothing_moves_where_nothing_is_cut() {
        let halves = split(&module(), |_| false, |name| name == "load", 1).expect("two halves");
        assert!(halves.moved.is_empty());
        assert_eq!(names(&halves.first).len(), 5);
    }
}
