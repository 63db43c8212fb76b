//! The OpenAPI 3.1 document, made from the routes themselves.

use std::sync::{Arc, OnceLock};

use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, Content, InfoBuilder, OpenApi, OpenApiBuilder, RefOr, Tag};

use verify_http::{PROBLEM_JSON, ProblemCode};

/// The document. It is known once all routes are, and rendered when somebody asks for it.
#[derive(Clone, Default)]
pub struct Document(Arc<Described>);

#[derive(Default)]
struct Described {
    document: OnceLock<OpenApi>,
    json: OnceLock<String>,
}

impl Document {
    /// Says what it is. Only the first time counts.
    pub fn describe(&self, document: OpenApi) {
        self.0.document.get_or_init(|| document);
    }

    /// The text.
    pub fn json(&self) -> &str {
        // Its maps have text keys and its values are plain: there is nothing in it that JSON cannot say.
        self.0.json.get_or_init(|| {
            let document = self.0.document.get();
            document
                .and_then(|document| serde_json::to_string_pretty(document).ok())
                .unwrap_or_default()
        })
    }

    /// The page that shows it. The document stands in the page, so that a browser that was let in needs no second
    /// request with a key.
    pub fn page(&self) -> String {
        // In a script element only `</` and `<!--` could end the data; JSON may write `<` as an escape.
        include_str!("../assets/docs.html").replace("{{document}}", &self.json().replace('<', "\\u003c"))
    }
}

impl IntoResponse for Document {
    fn into_response(self) -> Response {
        (
            [(header::CONTENT_TYPE, "application/json")],
            self.json().to_owned(),
        )
            .into_response()
    }
}

/// Gives every problem document in it the media type that problems travel with.
pub fn with_problems(mut document: OpenApi) -> OpenApi {
    const JSON: &str = "application/json";
    let items = document.paths.paths.values_mut();
    let operations = items.flat_map(|item| [&mut item.get, &mut item.post]).flatten();
    for response in operations.flat_map(|operation| operation.responses.responses.values_mut()) {
        if let RefOr::T(response) = response
            && response.content.get(JSON).is_some_and(is_problem)
            && let Some(content) = response.content.shift_remove(JSON)
        {
            response.content.insert(PROBLEM_JSON.to_owned(), content);
        }
    }
    document
}

fn is_problem(content: &RefOr<Content>) -> bool {
    let RefOr::T(Content {
        schema: Some(RefOr::Ref(schema)),
        ..
    }) = content
    else {
        return false;
    };
    schema.ref_location == "#/components/schemas/Problem"
}

/// What stands in the document besides the routes. In demo mode nobody needs a key.
pub fn base(demo: bool) -> OpenApi {
    let info = InfoBuilder::new()
        .title("verify")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(description()))
        .build();
    let key = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    let needed = SecurityRequirement::new("key", Vec::<String>::new());
    OpenApiBuilder::new()
        .info(info)
        .tags(Some(
            ["verify", "proofs", "webhooks", "operator", "host", "demo"].map(Tag::new),
        ))
        .components(Some(ComponentsBuilder::new().security_scheme("key", key).build()))
        .security((!demo).then_some([needed]))
        .build()
}

fn description() -> String {
    let mut text = String::from(
        "Verifies that a person controls a number or a mailbox.\n\nRefusals are problem documents (RFC 9457). Clients \
         branch on `code`; `retry_after` is how long to wait until the same request would be admitted; while the \
         store is down, until it is worth asking again.\n\n\
         | status | code | meaning |\n|---|---|---|\n",
    );
    for code in ProblemCode::ALL {
        text.push_str(&format!(
            "| {} | `{}` | {} |\n",
            code.status().as_u16(),
            code.as_str(),
            code.title()
        ));
    }
    text
}
