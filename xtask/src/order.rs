//! An order of a module's functions in which those that look alike stand together, so that the module compresses well.
//!
//! WebAssembly gives functions no order of their own; the linker's is as good as any for an engine. For a compressor it
//! is not: functions of one type begin alike, and the list of their types becomes a few long runs.

use wasm_encoder::{NameMap, NameSection, Section};
use wasmparser::{Parser, Payload, TypeRef};

/// The module with its functions named by their places in that order, for wasm-opt's `--reorder-functions-by-name`.
pub(crate) fn name_by_likeness(wasm: &[u8]) -> Result<Vec<u8>, String> {
    let mut imported = 0;
    let mut types = Vec::new();
    let mut bodies = Vec::new();
    let failed =
        |error: wasmparser::BinaryReaderError| format!("wasm-opt's module cannot be read: {error}");
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.map_err(failed)? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    imported += u32::from(matches!(import.map_err(failed)?.ty, TypeRef::Func(_)));
                }
            }
            Payload::FunctionSection(section) => {
                types = section.into_iter().collect::<Result<Vec<u32>, _>>().map_err(failed)?;
            }
            Payload::CodeSectionEntry(body) => bodies.push(body.as_bytes()),
            _ => {}
        }
    }
    let mut order: Vec<_> = (0_u32..).zip(types.into_iter().zip(bodies)).collect();
    order.sort_by_key(|(_, looks)| *looks);

    let mut names: Vec<(u32, u32)> = (0..)
        .zip(order)
        .map(|(place, (function, _))| (imported + function, imported + place))
        .collect();
    names.extend((0..imported).map(|function| (function, function)));
    names.sort_unstable();
    let mut map = NameMap::new();
    for (function, place) in names {
        map.append(function, &format!("{place:06}"));
    }
    let mut section = NameSection::new();
    section.functions(&map);
    let mut named = wasm.to_vec();
    section.append_to(&mut named);
    Ok(named)
}

#[cfg(test)]
mod tests {
    use wasm_encoder::{
        CodeSection, EntityType, Function, FunctionSection, ImportSection, Module, TypeSection,
        ValType,
    };
    use wasmparser::{KnownCustom, Name};

    use super::*;

    #[test]
    fn functions_of_one_type_stand_together_behind_the_imported_ones() {
        let mut types = TypeSection::new();
        types.ty().function([], []);
        types.ty().function([ValType::I32], []);
        let mut imports = ImportSection::new();
        imports.import("page", "one", EntityType::Function(1));
        let (mut functions, mut code) = (FunctionSection::new(), CodeSection::new());
        for (of, nops) in [(1, 2), (0, 1), (1, 1), (0, 3)] {
            functions.function(of);
            let mut body = Function::new([]);
            for _ in 0..nops {
                body.instructions().nop();
            }
            body.instructions().end();
            code.function(&body);
        }
        let mut module = Module::new();
        module.section(&types).section(&imports).section(&functions).section(&code);

        let named = name_by_likeness(&module.finish()).unwrap();
        let mut names = Vec::new();
        for payload in Parser::new(0).parse_all(&named) {
            let Payload::CustomSection(section) = payload.unwrap() else { continue };
            let KnownCustom::Name(subsections) = section.as_known() else { continue };
            for subsection in subsections {
                let Name::Function(map) = subsection.unwrap() else { continue };
                names.extend(map.into_iter().map(|naming| naming.unwrap().name.to_owned()));
            }
        }
        // In each type the one with more instructions before its end comes first: an end is the greater byte.
        assert_eq!(names, ["000000", "000003", "000002", "000004", "000001"]);
    }
}
