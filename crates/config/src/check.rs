//! One walk over a read and merged message: validation rules, required fields, deprecation, and what is supported.
//!
//! It works on messages rather than on trees, so that several sources are judged as one and resources from another
//! origin pass the same gate.

use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
};

use prost_reflect::{
    DynamicMessage, FieldDescriptor, MessageDescriptor, OneofDescriptor, ReflectMessage as _, Value,
};

use crate::{
    error::{ErrorKind, Issues, WarningKind},
    path::Path,
    places::Places,
    redact::unpack,
    rules::{Broken, Rules, Within},
    semantic::{self, Facts, Scope},
    source::LoadOptions,
    support::{self, Support},
};

/// Checks `message`, which stands at the root of the sources.
pub(crate) fn check(
    message: &DynamicMessage,
    places: &Places<'_>,
    options: &LoadOptions<'_>,
    issues: &mut Issues,
) {
    let facts = Facts::of(message, issues);
    let mut checker = Checker {
        places,
        options,
        issues,
        facts,
        plans: HashMap::new(),
        reported: HashSet::new(),
        settled: 0,
    };
    checker.message(message, &Path::ROOT);
}

struct Checker<'c> {
    places: &'c Places<'c>,
    options: &'c LoadOptions<'c>,
    issues: &'c mut Issues,
    facts: Facts,
    plans: HashMap<String, Rc<Plan>>,
    /// Deprecated fields that were reported: once each is enough.
    reported: HashSet<String>,
    /// How many fields or extensions lead here that have no effect or were refused: whether what is in them is
    /// supported does not matter. Its rules hold all the same.
    settled: usize,
}

/// What is to be checked in every message of one type.
struct Plan {
    fields: Vec<FieldPlan>,
    required_oneofs: Vec<OneofDescriptor>,
    /// Types of `google.protobuf` are neither supported nor unsupported by themselves.
    is_ours: bool,
    /// Looks for mistakes that no rule of the API names.
    semantic: Option<semantic::Check>,
}

struct FieldPlan {
    field: FieldDescriptor,
    rules: Option<Rules>,
    deprecated: bool,
    /// Deprecated for so long that Envoy refuses it.
    disallowed: bool,
    /// It takes a length of time.
    is_duration: bool,
    support: Support,
}

impl Plan {
    fn of(descriptor: &MessageDescriptor) -> Self {
        let pool = nuncio_api::descriptors();
        let required = pool.get_extension_by_name("validate.required");
        let is_required = |oneof: &OneofDescriptor| {
            required
                .as_ref()
                .is_some_and(|required| oneof.options().get_extension(required).as_bool() == Some(true))
        };
        Self {
            fields: descriptor.fields().map(|field| FieldPlan::of(descriptor, field)).collect(),
            required_oneofs: descriptor.oneofs().filter(is_required).collect(),
            is_ours: descriptor.package_name() != "google.protobuf",
            semantic: semantic::of_message(descriptor.full_name()),
        }
    }
}

impl FieldPlan {
    fn of(descriptor: &MessageDescriptor, field: FieldDescriptor) -> Self {
        let options = field.options();
        let deprecated =
            options.get_field_by_name("deprecated").is_some_and(|value| value.as_bool() == Some(true));
        let disallowed = nuncio_api::descriptors()
            .get_extension_by_name("envoy.annotations.disallowed_by_default")
            .is_some_and(|extension| options.get_extension(&extension).as_bool() == Some(true));
        let support = support::of_field(descriptor.full_name(), field.name());
        let is_duration = descriptor.package_name().starts_with("envoy.")
            && field.kind().as_message().is_some_and(|kind| kind.full_name() == "google.protobuf.Duration");
        Self { rules: Rules::of(&field), deprecated, disallowed, is_duration, support, field }
    }
}

impl Checker<'_> {
    fn plan(&mut self, descriptor: &MessageDescriptor) -> Rc<Plan> {
        if let Some(plan) = self.plans.get(descriptor.full_name()) {
            return Rc::clone(plan);
        }
        let plan = Rc::new(Plan::of(descriptor));
        self.plans.insert(descriptor.full_name().to_owned(), Rc::clone(&plan));
        plan
    }

    fn rule(&mut self, path: &Path<'_>, message: String) {
        if self.issues.is_full() {
            return self.issues.omit();
        }
        self.issues.later_error(self.places.locate(path), ErrorKind::Rule, message);
    }

    fn message(&mut self, message: &DynamicMessage, path: &Path<'_>) {
        let descriptor = message.descriptor();
        match descriptor.full_name() {
            "google.protobuf.Any" => return self.any(message, path),
            // Free-form data has no rules, and may be large.
            "google.protobuf.Struct" | "google.protobuf.Value" | "google.protobuf.ListValue" => return,
            _ => {}
        }
        let plan = self.plan(&descriptor);
        for oneof in &plan.required_oneofs {
            if !oneof.fields().any(|field| message.has_field(&field)) {
                let names: Vec<String> = oneof.fields().map(|field| format!("{:?}", field.name())).collect();
                self.rule(path, format!("one of {} is required", names.join(", ")));
            }
        }
        for field in &plan.fields {
            self.field(message, field, plan.is_ours, path);
        }
        if let Some(check) = plan.semantic {
            let Self { places, options, issues, facts, .. } = self;
            check(&mut Scope { facts, places, options, issues }, message, path);
        }
    }

    fn field(&mut self, message: &DynamicMessage, plan: &FieldPlan, is_ours: bool, path: &Path<'_>) {
        let field = &plan.field;
        let at = path.field(field.name());
        if !message.has_field(field) {
            self.absent(plan, &at);
            return;
        }
        let refused = self.settled == 0 && is_ours && plan.support.is_refused();
        if refused {
            let message = format!("{:?} is not supported", field.name());
            self.unsupported(plan.support, &at, message);
        }
        if plan.disallowed {
            let message = format!("{:?} is deprecated, and Envoy refuses it by default", field.name());
            self.rule(&at, message);
        } else if plan.deprecated && !refused && self.reported.insert(field.full_name().to_owned()) {
            let warning = format!("{:?} is deprecated in Envoy's API", field.name());
            self.issues.warning(self.places.locate(&at), WarningKind::Deprecated, warning);
        }
        let value = message.get_field(field);
        if let Some(rules) = &plan.rules {
            self.broken(rules, &value, &at);
            if rules.skips_content() {
                return;
            }
        }
        if let (true, Value::Message(duration)) = (plan.is_duration, &*value) {
            self.duration(duration, &at);
        }
        let settled = usize::from(refused || matches!(plan.support, Support::NoEffect(_)));
        self.settled += settled;
        self.content(&value, &at);
        self.settled -= settled;
    }

    fn unsupported(&mut self, support: Support, path: &Path<'_>, message: String) {
        let guards = support == Support::Guard;
        unsupported(self.issues, self.places, self.options, path, guards, message);
    }

    /// Envoy refuses a duration of more than 292 years or less than none as soon as it uses it.
    fn duration(&mut self, duration: &DynamicMessage, at: &Path<'_>) {
        const MOST_SECONDS: i64 = 9_223_372_035;
        let number = |name| {
            duration.get_field_by_name(name).and_then(|value| match *value {
                Value::I64(number) => Some(number),
                Value::I32(number) => Some(number.into()),
                _ => None,
            })
        };
        let (Some(seconds), Some(nanos)) = (number("seconds"), number("nanos")) else { return };
        if seconds < 0 || nanos < 0 {
            self.rule(at, "must not be negative".to_owned());
        } else if nanos > 999_999_999 {
            self.rule(at, format!("must have less than 1000000000 nanos but has {nanos}"));
        } else if seconds > MOST_SECONDS {
            self.rule(at, format!("must be at most {MOST_SECONDS}s (292 years) but is {seconds}s"));
        }
    }

    fn content(&mut self, value: &Value, at: &Path<'_>) {
        match value {
            Value::Message(inner) => self.message(inner, at),
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    if let Value::Message(inner) = item {
                        self.message(inner, &at.index(index));
                    }
                }
            }
            Value::Map(map) => {
                for (key, item) in map {
                    if let (Value::Message(inner), Some(key)) = (item, key.as_str()) {
                        self.message(inner, &at.key(key));
                    }
                }
            }
            _ => {}
        }
    }

    /// A field that is not there may still be required, or have a default that its rules forbid.
    fn absent(&mut self, plan: &FieldPlan, at: &Path<'_>) {
        let Some(rules) = &plan.rules else { return };
        // The rules of a member of a oneof hold once it is chosen.
        if plan.field.containing_oneof().is_some() {
            return;
        }
        if rules.required() {
            self.rule(at, "is required".to_owned());
        } else if !plan.field.supports_presence() {
            let default = if plan.field.is_list() {
                Value::List(Vec::new())
            } else if plan.field.is_map() {
                Value::Map(HashMap::new())
            } else {
                plan.field.default_value()
            };
            self.broken(rules, &default, at);
        }
    }

    fn broken(&mut self, rules: &Rules, value: &Value, at: &Path<'_>) {
        let mut broken: Vec<Broken> = Vec::new();
        rules.check(value, &mut broken);
        for Broken { at: within, message } in broken {
            match within {
                Within::Value => self.rule(at, message),
                Within::Element(index) => self.rule(&at.index(index), message),
                Within::Key(key) => self.rule(&at.key(&key), message),
            }
        }
    }

    fn any(&mut self, any: &DynamicMessage, path: &Path<'_>) {
        let Some(payload) = unpack(any) else {
            // Whoever needs this payload says that it is missing; an empty type was let pass by the reader.
            return;
        };
        let name = payload.descriptor().full_name().to_owned();
        let support = support::of_extension(&name);
        let refused = self.settled == 0 && support.is_refused();
        if refused {
            self.unsupported(support, path, format!("the extension {name} is not supported"));
        }
        self.settled += usize::from(refused);
        self.message(&payload, path);
        self.settled -= usize::from(refused);
    }
}

/// Reports something that is not supported: as an error, or as a warning where the options allow that. What guards
/// access stays an error.
pub(crate) fn unsupported(
    issues: &mut Issues,
    places: &Places<'_>,
    options: &LoadOptions<'_>,
    path: &Path<'_>,
    guards: bool,
    message: String,
) {
    if options.allow_unsupported && !guards {
        issues.warning(places.locate(path), WarningKind::Unsupported, message);
    } else if issues.is_full() {
        issues.omit();
    } else {
        issues.later_error(places.locate(path), ErrorKind::Unsupported, message);
    }
}
