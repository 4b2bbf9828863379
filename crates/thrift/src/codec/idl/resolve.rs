//! From declarations to a [`Schema`]: every name is looked up once, here.

use std::collections::{BTreeMap, HashMap};

use pilota_thrift_parser::{
    Attribute, Field as Declared, Function, Item, Path, Service, StructLike, Ty, Type as Named,
};

use super::super::schema::{
    self, AnswerKind, Enumeration, Field, Method, Presence, Schema, Shape, Struct, Type,
};
use super::source::Loaded;
use super::{IdlError, REFERENCES_MAX, TYPES_MAX};

/// Where something is declared: the file, and the name there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site<'f> {
    pub(super) file: usize,
    pub(super) item: &'f str,
    pub(super) member: Option<&'f str>,
}

/// A struct whose fields are still to be read.
struct Waiting<'f> {
    at: usize,
    site: Site<'f>,
    fields: &'f [Declared],
}

pub(super) struct Compiler<'f> {
    pub(super) files: &'f [Loaded],
    pub(super) schema: Schema,
    /// Positions of structs and enumerations, by file and name.
    known: HashMap<(usize, &'f str), Type>,
    waiting: Vec<Waiting<'f>>,
    /// The fields of each struct, for their defaults.
    declared: Vec<(Site<'f>, &'f [Declared])>,
    /// How deep the type lies that is looked at, and how many were.
    depth: usize,
    types: usize,
}

impl<'f> Compiler<'f> {
    pub(super) fn new(files: &'f [Loaded]) -> Self {
        Self {
            files,
            schema: Schema::default(),
            known: HashMap::new(),
            waiting: Vec::new(),
            declared: Vec::new(),
            depth: 0,
            types: 0,
        }
    }

    pub(super) fn compile(mut self, service: &str) -> Result<Schema, IdlError> {
        let Some(Item::Service(found)) = self.files[0].item(service) else {
            let message = format!("there is no service `{service}`");
            return Err(IdlError::whole_file(&self.files[0].name, message));
        };
        self.service(0, found)?;
        while let Some(waiting) = self.waiting.pop() {
            let fields = self.fields(waiting.site, waiting.fields)?;
            let structure = &mut self.schema.structs[waiting.at];
            structure.names = names(&fields);
            structure.fields = fields;
        }
        self.defaults()?;
        Ok(self.schema)
    }

    /// A mistake at `site`.
    pub(super) fn mistake(&self, site: Site<'_>, message: impl Into<String>) -> IdlError {
        self.files[site.file].mistake(site.item, site.member, message.into())
    }

    /// The methods of a service and of those it extends.
    fn service(&mut self, file: usize, service: &'f Service) -> Result<(), IdlError> {
        let (mut file, mut service) = (file, service);
        for _ in 0..REFERENCES_MAX {
            for function in &service.functions {
                self.method(file, service, function)?;
            }
            let Some(base) = &service.extends else {
                return Ok(());
            };
            let site = Site {
                file,
                item: &service.name,
                member: None,
            };
            match self.item(file, base) {
                Some((base_file, Item::Service(base))) => (file, service) = (base_file, base),
                _ => {
                    let message = format!("the service `{}` is not defined", spelt(base));
                    return Err(self.mistake(site, message));
                }
            }
        }
        let site = Site {
            file,
            item: &service.name,
            member: None,
        };
        Err(self.mistake(site, "services extend each other without end"))
    }

    fn method(
        &mut self,
        file: usize,
        service: &'f Service,
        function: &'f Function,
    ) -> Result<(), IdlError> {
        let site = Site {
            file,
            item: &service.name,
            member: Some(&function.name),
        };
        let name: Box<str> = function.name.as_str().into();
        if self.schema.methods.contains_key(&name) {
            let message = format!("the method `{name}` is declared twice");
            return Err(self.mistake(site, message));
        }
        let arguments = self.structure(&name, Shape::Struct, site, &function.arguments);
        let returns_nothing = matches!(function.result_type.0, Ty::Void);
        let answer = if function.oneway {
            if !returns_nothing || !function.throws.is_empty() {
                let message = format!("`{name}` is one-way and cannot return or throw anything");
                return Err(self.mistake(site, message));
            }
            AnswerKind::OneWay
        } else {
            let success = (!returns_nothing).then(|| self.kind(site, &function.result_type));
            let exceptions = function.throws.iter().map(|it| self.exception(site, it));
            let exceptions = exceptions.collect::<Result<_, _>>()?;
            AnswerKind::Result {
                success: success.transpose()?,
                exceptions,
            }
        };
        let method = Method {
            name: name.to_string().into(),
            arguments,
            answer,
        };
        self.schema.methods.insert(name, method);
        Ok(())
    }

    fn exception(
        &mut self,
        site: Site<'f>,
        thrown: &'f Declared,
    ) -> Result<schema::Declared, IdlError> {
        let Type::Struct(structure) = self.kind(site, &thrown.ty)? else {
            let message = format!("`{}` is not an exception", &*thrown.name);
            return Err(self.mistake(site, message));
        };
        let id = self.number(site, thrown)?;
        if id == 0 {
            return Err(self.mistake(site, "field 0 is that of the result"));
        }
        Ok(schema::Declared { id, structure })
    }

    /// Takes up a struct whose fields are read later: they may be of its own type.
    fn structure(
        &mut self,
        name: &str,
        shape: Shape,
        site: Site<'f>,
        fields: &'f [Declared],
    ) -> usize {
        let at = self.schema.structs.len();
        self.schema.structs.push(Struct {
            name: name.into(),
            shape,
            ..Struct::default()
        });
        self.waiting.push(Waiting { at, site, fields });
        self.declared.push((site, fields));
        at
    }

    fn fields(&mut self, site: Site<'f>, fields: &'f [Declared]) -> Result<Vec<Field>, IdlError> {
        let mut read = Vec::with_capacity(fields.len());
        for field in fields {
            // The fields of a method's arguments are looked for behind the method.
            let site = Site {
                member: site.member.or(Some(&field.name)),
                ..site
            };
            read.push(Field {
                id: self.number(site, field)?,
                name: field.name.as_str().into(),
                kind: self.kind(site, &field.ty)?,
                presence: match field.attribute {
                    Attribute::Required => Presence::Required,
                    Attribute::Optional => Presence::Optional,
                    Attribute::Default => Presence::Unstated,
                },
                default: None,
            });
        }
        read.sort_by_key(|field| field.id);
        let same_number = read.windows(2).find(|pair| pair[0].id == pair[1].id);
        if let Some([first, second]) = same_number {
            let message = format!(
                "`{}` and `{}` are both number {}",
                first.name, second.name, first.id
            );
            return Err(self.mistake(site, message));
        }
        let names = names(&read);
        if names.len() < read.len() {
            return Err(self.mistake(site, "two fields have one name"));
        }
        Ok(read)
    }

    fn number(&self, site: Site<'_>, field: &Declared) -> Result<i16, IdlError> {
        i16::try_from(field.id).map_err(|_| self.mistake(site, "the field's number does not fit"))
    }

    /// A type may lie in itself by a typedef, or be twice in one that is twice in another.
    fn kind(&mut self, site: Site<'f>, named: &'f Named) -> Result<Type, IdlError> {
        self.types += 1;
        if self.types > TYPES_MAX {
            return Err(self.mistake(site, format!("more than {TYPES_MAX} types")));
        }
        if self.depth >= REFERENCES_MAX {
            let message = format!("types more than {REFERENCES_MAX} deep in each other");
            return Err(self.mistake(site, message));
        }
        self.depth += 1;
        let kind = self.kind_within(site, named);
        self.depth -= 1;
        kind
    }

    fn kind_within(&mut self, site: Site<'f>, named: &'f Named) -> Result<Type, IdlError> {
        Ok(match &named.0 {
            Ty::Bool => Type::Bool,
            Ty::Byte | Ty::I8 => Type::Byte,
            Ty::I16 => Type::Int16,
            Ty::I32 => Type::Int32,
            Ty::I64 => Type::Int64,
            Ty::Double => Type::Double,
            Ty::String => Type::Text,
            Ty::Binary => Type::Bytes,
            Ty::Uuid => Type::Uuid,
            Ty::List { value, .. } => Type::List(Box::new(self.kind(site, value)?)),
            Ty::Set { value, .. } => Type::Set(Box::new(self.kind(site, value)?)),
            Ty::Map { key, value, .. } => {
                let types = (self.kind(site, key)?, self.kind(site, value)?);
                Type::Map(Box::new(types))
            }
            Ty::Path(path) => return self.declared_kind(site, path),
            Ty::Void => return Err(self.mistake(site, "`void` is no type of a value")),
        })
    }

    /// The type that a name stands for, through any number of typedefs that ends.
    fn declared_kind(&mut self, site: Site<'f>, path: &'f Path) -> Result<Type, IdlError> {
        let (mut file, mut path) = (site.file, path);
        for _ in 0..REFERENCES_MAX {
            let Some((found_in, item)) = self.item(file, path) else {
                let message = format!("the type `{}` is not defined", spelt(path));
                return Err(self.mistake(site, message));
            };
            let Item::Typedef(alias) = item else {
                return self.item_kind(site, found_in, item, path);
            };
            let Ty::Path(next) = &alias.r#type.0 else {
                let site = Site {
                    file: found_in,
                    item: &alias.alias,
                    member: None,
                };
                return self.kind(site, &alias.r#type);
            };
            (file, path) = (found_in, next);
        }
        let message = format!("the type `{}` is defined by itself", spelt(path));
        Err(self.mistake(site, message))
    }

    fn item_kind(
        &mut self,
        site: Site<'f>,
        file: usize,
        item: &'f Item,
        path: &Path,
    ) -> Result<Type, IdlError> {
        let (shape, like): (Shape, &'f StructLike) = match item {
            Item::Struct(it) => (Shape::Struct, it),
            Item::Exception(it) => (Shape::Struct, it),
            Item::Union(it) => (Shape::Union, it),
            Item::Enum(it) => return self.enumeration(file, it),
            _ => {
                let message = format!("`{}` is not a type", spelt(path));
                return Err(self.mistake(site, message));
            }
        };
        let key = (file, like.name.as_str());
        if let Some(known) = self.known.get(&key) {
            return Ok(known.clone());
        }
        let site = Site {
            file,
            item: &like.name,
            member: None,
        };
        let kind = Type::Struct(self.structure(&like.name, shape, site, &like.fields));
        self.known.insert(key, kind.clone());
        Ok(kind)
    }

    pub(super) fn enumeration(
        &mut self,
        file: usize,
        declared: &'f pilota_thrift_parser::Enum,
    ) -> Result<Type, IdlError> {
        let key = (file, declared.name.as_str());
        if let Some(known) = self.known.get(&key) {
            return Ok(known.clone());
        }
        let mut enumeration = Enumeration {
            name: declared.name.as_str().into(),
            ..Enumeration::default()
        };
        for (name, number) in self.numbers(file, declared)? {
            enumeration.values.insert(name.into(), number);
            let names = &mut enumeration.names;
            names.entry(number).or_insert_with(|| name.into());
        }
        let kind = Type::Enum(self.schema.enums.len());
        self.schema.enums.push(enumeration);
        self.known.insert(key, kind.clone());
        Ok(kind)
    }

    /// The values of an enumeration: one that has no number is one more than the last.
    pub(super) fn numbers(
        &self,
        file: usize,
        declared: &'f pilota_thrift_parser::Enum,
    ) -> Result<Vec<(&'f str, i32)>, IdlError> {
        let mut numbers = Vec::with_capacity(declared.values.len());
        let mut next = 0_i64;
        for value in &declared.values {
            let number = value.value.map_or(next, |number| number.0);
            let Ok(fitting) = i32::try_from(number) else {
                let site = Site {
                    file,
                    item: &declared.name,
                    member: Some(&value.name),
                };
                return Err(self.mistake(site, format!("{number} does not fit into an i32")));
            };
            numbers.push((value.name.as_str(), fitting));
            next = number + 1;
        }
        Ok(numbers)
    }

    /// What a name stands for in a file: something of its own, or of one it includes.
    pub(super) fn item(&self, file: usize, path: &Path) -> Option<(usize, &'f Item)> {
        let (last, scope) = path.segments.split_last()?;
        let file = match scope {
            [] => file,
            scope => self.included(file, scope)?,
        };
        Some((file, self.files[file].item(last)?))
    }

    /// The file that is called `scope` in `file`.
    pub(super) fn included(
        &self,
        file: usize,
        scope: &[pilota_thrift_parser::Ident],
    ) -> Option<usize> {
        let scope: Vec<&str> = scope.iter().map(|it| it.as_str()).collect();
        let scope = scope.join(".");
        let mut includes = self.files[file].includes.iter();
        includes
            .find(|(stem, _)| *stem == scope)
            .map(|(_, file)| *file)
    }

    fn defaults(&mut self) -> Result<(), IdlError> {
        for (at, (site, fields)) in std::mem::take(&mut self.declared).into_iter().enumerate() {
            for declared in fields {
                let Some(value) = &declared.default else {
                    continue;
                };
                let site = Site {
                    member: site.member.or(Some(&declared.name)),
                    ..site
                };
                let position = self.schema.structs[at].names[declared.name.as_str()];
                let kind = self.schema.structs[at].fields[position].kind.clone();
                let default = self.constant(site, &kind, value)?;
                self.schema.structs[at].fields[position].default = Some(default);
            }
        }
        Ok(())
    }
}

/// Positions by name.
fn names(fields: &[Field]) -> BTreeMap<Box<str>, usize> {
    let fields = fields.iter().enumerate();
    fields.map(|(at, field)| (field.name.clone(), at)).collect()
}

/// A name as it is written.
pub(super) fn spelt(path: &Path) -> String {
    let segments: Vec<&str> = path.segments.iter().map(|it| it.as_str()).collect();
    segments.join(".")
}
