//! The callbacks that the service sends, as webhooks of its description (OpenAPI 3.1, section 4.8.1.1). What is said
//! of a body is taken from the tables that bodies are made with.

use ledger::CallbackEvent;
use ledger::callback_report::{Field, FieldForm, SENT, event_fields, payloads};
use serde_json::Value;
use utoipa::openapi::path::{
    Operation, OperationBuilder, ParameterBuilder, ParameterIn, PathItemBuilder,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, ObjectBuilder, OneOfBuilder, Schema, SchemaFormat,
    SchemaType, Type,
};
use utoipa::openapi::{
    ContentBuilder, HttpMethod, OpenApi, PathItem, Paths, Ref, RefOr, Required, Response,
};

const PROOF: &str = "CallbackProof";

/// Adds the webhook of each event, and the schemas of their bodies. A webhook refers to an item of the components:
/// what stands in its own place, openapi-generator makes Python of that does not compile.
pub(crate) fn describe(description: &mut OpenApi) {
    let components = description.components.get_or_insert_default();
    let mut webhooks = Paths::new();
    components.schemas.insert(PROOF.to_owned(), proof().into());
    for event in CallbackEvent::ALL {
        let name = name_of(event);
        let body_name = format!("{name}Callback");
        let item = PathItem::new(HttpMethod::Post, operation(event, &body_name));
        let reference = format!("#/components/pathItems/{name}");
        let reference = PathItemBuilder::new().ref_path(Some(reference)).build();
        components.path_items.insert(name, item);
        components.schemas.insert(body_name, body(event).into());
        webhooks.paths.insert(event.as_str().to_owned(), reference);
    }
    description.webhooks = Some(webhooks);
}

/// `ApprovalPending` for `approval.pending`.
fn name_of(event: CallbackEvent) -> String {
    let capitals = event.as_str().split('.').map(|word| {
        let (first, rest) = word.split_at(1);
        format!("{}{rest}", first.to_ascii_uppercase())
    });
    capitals.collect()
}

const fn about(event: CallbackEvent) -> &'static str {
    match event {
        CallbackEvent::ApprovalPending => "A question was put to people",
        CallbackEvent::ApprovalApproved => "A person approved; the agent can continue",
        CallbackEvent::ApprovalDenied => "A person denied",
        CallbackEvent::ApprovalExpired => "Nobody decided, or nobody continued, in time",
        CallbackEvent::ApprovalCancelled => {
            "The question was withdrawn: its task was closed, a lock or the policy ended it, or an operator did"
        }
        CallbackEvent::ApplyFinished => "Every operation was carried out",
        CallbackEvent::ApplyFailed => "An operation failed, or the apply was stopped",
        CallbackEvent::ApplyUnknown => "Nobody can say whether an operation was carried out",
    }
}

fn operation(event: CallbackEvent, body: &str) -> Operation {
    let text = |text: &str| Response::new(text);
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(body)));
    let body = RequestBodyBuilder::new()
        .required(Some(Required::True))
        .content("application/json", content.build());
    let mut operation = OperationBuilder::new()
        .operation_id(Some(event.as_str().replace('.', "_")))
        .tag("webhooks")
        .summary(Some(about(event)))
        .request_body(Some(body.build()))
        .response("2XX", text("Taken"))
        .response("410", text("Not wanted any more: it is not sent again"))
        .response(
            "default",
            text("It is sent again later; Retry-After is obeyed up to a day"),
        );
    for (name, about) in [
        ("x-llm-proxy-event-id", "The event; the same on every try"),
        (
            "x-llm-proxy-signature",
            "v1= and hex(HMAC-SHA256(secret, body))",
        ),
        ("webhook-id", "As Standard Webhooks has it: the event"),
        (
            "webhook-timestamp",
            "As Standard Webhooks has it: Unix seconds of this try",
        ),
        (
            "webhook-signature",
            "As Standard Webhooks has it: v1, and base64(HMAC-SHA256(key, \
             \"{webhook-id}.{webhook-timestamp}.{body}\")), where the key is what a secret `whsec_` decodes to, \
             or else the secret's bytes",
        ),
    ] {
        let header = ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Header)
            .required(Required::True)
            .description(Some(about))
            .schema(Some(ObjectBuilder::new().schema_type(Type::String)));
        operation = operation.parameter(header.build());
    }
    operation.build()
}

/// `{"event": …, "proof": …}`.
fn body(event: CallbackEvent) -> Schema {
    let (in_each, in_some) = event_fields();
    let mut told = fields(ObjectBuilder::new(), in_each, true);
    told = fields(told, in_some, false);
    let name = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some([event.as_str()]));
    told = told.property("event_type", name);
    let mut forms = payloads(event).iter().map(|form| {
        let payload = fields(ObjectBuilder::new(), form, true);
        match event {
            CallbackEvent::ApprovalPending => fields(payload, &SENT, false),
            _ => payload,
        }
    });
    told = match (forms.next(), forms.next()) {
        (Some(one), None) => told.property("payload", one),
        (one, other) => {
            let forms = one.into_iter().chain(other);
            let one_of = forms.fold(OneOfBuilder::new(), OneOfBuilder::item);
            told.property("payload", one_of)
        }
    };
    ObjectBuilder::new()
        .description(Some(about(event)))
        .property("event", told.required("payload"))
        .required("event")
        .property("proof", Ref::from_schema_name(PROOF))
        .required("proof")
        .build()
        .into()
}

fn proof() -> Schema {
    let text = ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("Why there is no proof"));
    let position = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .description(Some("The event's position in the ledger"));
    ObjectBuilder::new()
        .description(Some(
            "The proof that the ledger says so, or why there is none; docs/audit.md says what is in it",
        ))
        .property("position", position)
        .required("position")
        .property("unavailable", text)
        .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(true)))
        .build()
        .into()
}

fn fields(object: ObjectBuilder, fields: &[Field], are_required: bool) -> ObjectBuilder {
    fields.iter().fold(object, |object, field| {
        let object = object.property(field.name, schema(field));
        match are_required {
            true => object.required(field.name),
            false => object,
        }
    })
}

fn schema(field: &Field) -> RefOr<Schema> {
    let of = |kind: Type| {
        let kind = match field.is_nullable {
            true => SchemaType::from_iter([kind, Type::Null]),
            false => kind.into(),
        };
        let object = ObjectBuilder::new().schema_type(kind);
        object.description(Some(field.about))
    };
    let formatted = |format: &str| {
        let format = SchemaFormat::Custom(format.to_owned());
        of(Type::String).format(Some(format))
    };
    match field.form {
        FieldForm::Id => formatted("uuid").into(),
        FieldForm::Time => formatted("date-time").into(),
        FieldForm::Url => formatted("uri").into(),
        FieldForm::Text => of(Type::String).into(),
        FieldForm::Flag => of(Type::Boolean).into(),
        FieldForm::Word(words) => {
            let words = words.iter().map(|word| Value::from(*word));
            of(Type::String).enum_values(Some(words)).into()
        }
        FieldForm::Texts => {
            let texts = ArrayBuilder::new().items(ObjectBuilder::new().schema_type(Type::String));
            texts.description(Some(field.about)).into()
        }
    }
}
