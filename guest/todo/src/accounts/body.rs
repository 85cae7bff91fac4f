//! The bodies, checked.

use axum::http::{HeaderMap, header};

use crate::check::{Checked, Fields, Issues, Purpose, Rule, Step, both, email, nullable, scalar};
use crate::incoming;
use crate::json::Value;
use crate::reply::Failure;

const PASSWORD_MIN: usize = 8;
const PASSWORD_MAX: usize = 128;
const NAME_MAX: usize = 100;

/// Somebody who wants an account.
#[derive(PartialEq)]
pub struct Registration {
    pub(super) email: String,
    pub(super) password: String,
    pub(super) name: String,
}

/// Somebody who has one.
#[derive(PartialEq)]
pub struct Login {
    pub(super) email: String,
    pub(super) password: String,
}

impl Registration {
    /// Checks a body.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(headers: &HeaderMap, body: &[u8]) -> Result<Self, Failure> {
        let body = incoming::parse(headers, body)?;
        Ok(in_body(Fields::of_body(body.as_ref()), Self::of)?)
    }

    pub(crate) fn of(fields: Fields<'_>) -> Checked<Self> {
        let mut issues = Issues::default();
        let new = |value: &Value| scalar::text(value, PASSWORD_MIN, PASSWORD_MAX);
        let address = issues.keep(fields.required("email", |value| email(value, Purpose::Register)));
        let password = issues.keep(fields.required("password", new));
        let names = ["name", "full_name", "username"].map(|key| issues.keep(fields.given(key, nullable(name))));
        let again = |value: &Value| confirmed(value, fields.get("password"));
        let again = issues.keep(fields.given("confirm_password", nullable(again)));
        let (Some(email), Some(password), [Some(a), Some(b), Some(c)], Some(_)) = (address, password, names, again)
        else {
            return Err(issues);
        };
        // Better Auth has no user without a name.
        let name = [a, b, c].into_iter().flatten().flatten().next();
        let name = name.unwrap_or_else(|| email.split('@').next().unwrap_or_default().chars().take(NAME_MAX).collect());
        Ok(Self { email, password, name })
    }
}

impl Login {
    /// Checks a body: JSON, or the form of OAuth2.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(headers: &HeaderMap, body: &[u8]) -> Result<Self, Failure> {
        if is_form(headers) {
            let pairs = incoming::pairs(str::from_utf8(body).map_err(|_| Failure::UnreadableBody)?);
            return Ok(in_body(Ok(Fields::of_query(&pairs)), Self::of_form)?);
        }
        let body = incoming::parse(headers, body)?;
        Ok(in_body(Fields::of_body(body.as_ref()), Self::of)?)
    }

    pub(crate) fn of(fields: Fields<'_>) -> Checked<Self> {
        let address = fields.required("email", |value| email(value, Purpose::Login));
        let (email, password) = both(address, fields.required("password", any))?;
        Ok(Self { email, password })
    }

    /// The user name of OAuth2 is any text; here it is an address.
    fn of_form(fields: Fields<'_>) -> Checked<Self> {
        let (email, password) = both(fields.required("username", any), fields.required("password", any))?;
        Ok(Self { email: email.trim().to_owned(), password })
    }
}

fn in_body<T>(fields: Checked<Fields<'_>>, read: impl FnOnce(Fields<'_>) -> Checked<T>) -> Checked<T> {
    fields.and_then(read).map_err(|issues| issues.at(Step::Name("body")))
}

/// What somebody has, of whatever length; the host knows what can be one.
fn any(value: &Value) -> Checked<String> {
    match value {
        Value::Str(text) => Ok(text.clone()),
        other => Err(Issues::one(Rule::Text, other)),
    }
}

fn name(value: &Value) -> Checked<String> {
    let name = scalar::text(value, 1, NAME_MAX)?;
    let own = |sentence| Err(Issues::one(Rule::Own(sentence), value));
    match () {
        () if scalar::is_blank(&name) => own("Name cannot be empty"),
        () if name.chars().any(char::is_control) => own("Name cannot contain control characters"),
        () => Ok(name),
    }
}

fn confirmed(value: &Value, password: Option<&Value>) -> Checked<()> {
    any(value)?;
    match password {
        Some(password) if password != value => Err(Issues::one(Rule::Own("Passwords do not match"), value)),
        _ => Ok(()),
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}
