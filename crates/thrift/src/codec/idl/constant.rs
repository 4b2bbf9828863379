//! Default values, spelt in the binary protocol while the IDL is compiled.

use bytes::{BufMut, Bytes, BytesMut};
use pilota_thrift_parser::{ConstValue, Ident, Item, Path};

use super::super::json::parse_uuid;
use super::super::schema::{Presence, Shape, Type};
use super::resolve::{Compiler, Site, spelt};
use super::{DEFAULT_BYTES_MAX, IdlError, REFERENCES_MAX};

/// A value and the file whose names it uses.
#[derive(Clone, Copy)]
struct Constant<'f> {
    file: usize,
    value: &'f ConstValue,
}

/// A name in the place of a value.
enum Referred<'f> {
    Constant(Constant<'f>),
    Number(i32),
}

impl<'f> Compiler<'f> {
    /// The value of type `kind`.
    pub(super) fn constant(
        &self,
        site: Site<'f>,
        kind: &Type,
        value: &'f ConstValue,
    ) -> Result<Bytes, IdlError> {
        let mut out = BytesMut::new();
        let constant = Constant {
            file: site.file,
            value,
        };
        let written = self.write_constant(kind, constant, REFERENCES_MAX, &mut out);
        written.map_err(|message| self.mistake(site, message))?;
        Ok(out.freeze())
    }

    fn write_constant(
        &self,
        kind: &Type,
        constant: Constant<'f>,
        references_left: usize,
        out: &mut BytesMut,
    ) -> Result<(), String> {
        let Some(references_left) = references_left.checked_sub(1) else {
            return Err("the default value is defined by itself".to_owned());
        };
        if out.len() > DEFAULT_BYTES_MAX {
            return Err(format!(
                "the default value has more than {DEFAULT_BYTES_MAX} bytes"
            ));
        }
        match (kind, constant.value) {
            (kind, ConstValue::Path(path)) => match self.referred(kind, constant.file, path)? {
                Referred::Constant(constant) => {
                    return self.write_constant(kind, constant, references_left, out);
                }
                Referred::Number(number) => return self.write_number(kind, number.into(), out),
            },
            (Type::Bool, ConstValue::Bool(value)) => out.put_u8((*value).into()),
            (kind, ConstValue::Int(number)) => return self.write_number(kind, number.0, out),
            (Type::Double, ConstValue::Double(number)) => match number.0.parse::<f64>() {
                Ok(number) => out.put_f64(number),
                Err(_) => return Err(format!("{} is not a number", number.0)),
            },
            (Type::Text | Type::Bytes, ConstValue::String(text)) => {
                out.put_u32(text.len() as u32);
                out.put_slice(text.as_bytes());
            }
            (Type::Uuid, ConstValue::String(text)) => match parse_uuid(text) {
                Some(uuid) => out.put_slice(&uuid),
                None => return Err("the default value is not a UUID".to_owned()),
            },
            (Type::List(element) | Type::Set(element), ConstValue::List(values)) => {
                out.put_u8(element.wire().binary());
                out.put_u32(values.len() as u32);
                for value in values {
                    let value = Constant { value, ..constant };
                    self.write_constant(element, value, references_left, out)?;
                }
            }
            (Type::Map(types), ConstValue::Map(entries)) => {
                out.put_u8(types.0.wire().binary());
                out.put_u8(types.1.wire().binary());
                out.put_u32(entries.len() as u32);
                for (key, value) in entries {
                    let key = Constant {
                        value: key,
                        ..constant
                    };
                    self.write_constant(&types.0, key, references_left, out)?;
                    let value = Constant { value, ..constant };
                    self.write_constant(&types.1, value, references_left, out)?;
                }
            }
            // What is empty is written either way.
            (Type::Map(types), ConstValue::List(values)) if values.is_empty() => {
                out.put_slice(&[types.0.wire().binary(), types.1.wire().binary()]);
                out.put_u32(0);
            }
            (Type::List(element) | Type::Set(element), ConstValue::Map(entries))
                if entries.is_empty() =>
            {
                out.put_u8(element.wire().binary());
                out.put_u32(0);
            }
            (Type::Struct(at), ConstValue::Map(entries)) => {
                return self.write_struct(*at, (constant.file, entries), references_left, out);
            }
            (kind, _) => return Err(self.no_such_value(kind)),
        }
        Ok(())
    }

    fn no_such_value(&self, kind: &Type) -> String {
        format!("the default value is no {}", kind.describe(&self.schema))
    }

    fn write_number(&self, kind: &Type, number: i64, out: &mut BytesMut) -> Result<(), String> {
        let beyond = |_| {
            format!(
                "{number} does not fit into an {}",
                kind.describe(&self.schema)
            )
        };
        match kind {
            Type::Bool if matches!(number, 0 | 1) => out.put_u8(number as u8),
            Type::Byte => out.put_i8(number.try_into().map_err(beyond)?),
            Type::Int16 => out.put_i16(number.try_into().map_err(beyond)?),
            Type::Int32 | Type::Enum(_) => out.put_i32(number.try_into().map_err(beyond)?),
            Type::Int64 => out.put_i64(number),
            Type::Double => out.put_f64(number as f64),
            kind => return Err(self.no_such_value(kind)),
        }
        Ok(())
    }

    /// Fields that are not given are left to the reader and its own defaults.
    fn write_struct(
        &self,
        at: usize,
        (file, entries): (usize, &'f [(ConstValue, ConstValue)]),
        references_left: usize,
        out: &mut BytesMut,
    ) -> Result<(), String> {
        let structure = &self.schema.structs[at];
        let mut given = vec![false; structure.fields.len()];
        for (key, value) in entries {
            let ConstValue::String(name) = key else {
                return Err("the fields of a default value are named by texts".to_owned());
            };
            let Some((position, field)) = structure.named(name) else {
                return Err(format!("`{}` has no field {:?}", structure.name, name.0));
            };
            if std::mem::replace(&mut given[position], true) {
                return Err(format!("the field {:?} is given twice", name.0));
            }
            out.put_u8(field.kind.wire().binary());
            out.put_i16(field.id);
            self.write_constant(&field.kind, Constant { file, value }, references_left, out)?;
        }
        out.put_u8(0);
        let count = given.iter().filter(|given| **given).count();
        if structure.shape == Shape::Union && count != 1 {
            return Err(format!("`{}` needs exactly one field", structure.name));
        }
        let mut fields = structure.fields.iter().zip(given);
        match fields.find(|(field, given)| !given && field.presence == Presence::Required) {
            Some((field, _)) => Err(format!("the default value has no `{}`", field.name)),
            None => Ok(()),
        }
    }

    /// What a name means as a value of type `kind`: a constant, or a value of an enumeration.
    fn referred(&self, kind: &Type, file: usize, path: &Path) -> Result<Referred<'f>, String> {
        if let Some((found_in, Item::Constant(constant))) = self.item(file, path) {
            return Ok(Referred::Constant(Constant {
                file: found_in,
                value: &constant.value,
            }));
        }
        let unknown = || format!("the constant `{}` is not defined", spelt(path));
        match &*path.segments {
            // Some leave out the enumeration, where its type says which one it is.
            [value] => {
                let Type::Enum(at) = kind else {
                    return Err(unknown());
                };
                let number = self.schema.enums[*at].values.get(value.as_str());
                number.copied().map(Referred::Number).ok_or_else(unknown)
            }
            [scope @ .., name, value] => {
                let number = self.enumerated(file, scope, name, value);
                number.map(Referred::Number).ok_or_else(unknown)
            }
            [] => Err(unknown()),
        }
    }

    fn enumerated(&self, file: usize, scope: &[Ident], name: &str, value: &str) -> Option<i32> {
        let file = match scope {
            [] => file,
            scope => self.included(file, scope)?,
        };
        let Item::Enum(found) = self.files[file].item(name)? else {
            return None;
        };
        let numbers = self.numbers(file, found).ok()?;
        let found = numbers.into_iter().find(|(name, _)| *name == value);
        found.map(|(_, number)| number)
    }
}
