//! What the engine answers, as JSON.

use std::net::IpAddr;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize};
#[cfg(feature = "openapi")]
use utoipa::ToSchema;
use verify_core::outcome::{Approval, Redemption, VerificationView, wait_secs};
use verify_core::time::{Timestamp, Until};
use verify_core::vocabulary::Country;

/// An instant as RFC 3339, UTC, with milliseconds.
pub fn rfc3339(at: Timestamp) -> String {
    let millis = i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
    DateTime::<Utc>::from_timestamp_millis(millis)
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
        .to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// A verification as its caller may see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = Verification))]
pub struct VerificationJson {
    /// Enough, with a code, to check. Keep it to yourself.
    pub verification_id: String,
    /// The provider's id where there is one; absent under private disclosure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// `pending`, `approved`, `expired`, `canceled` or `exhausted`.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub status: &'static str,
    /// The channel of its latest delivery.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub channel: &'static str,
    /// Its masked destination.
    pub to: String,
    /// Why.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub purpose: &'static str,
    /// Its deliveries, oldest first; empty under private disclosure.
    pub deliveries: Vec<DeliveryJson>,
    /// When its code dies.
    pub expires_at: String,
    /// Seconds until then.
    pub expires_in: u64,
    /// When the same caller may send again; null when waiting does not help.
    pub resend_at: Option<String>,
    /// Seconds until then.
    pub resend_in: Option<u64>,
    /// Sends left for this user and destination; null when no limit ends them.
    pub sends_left: Option<u32>,
    /// Checks left before it is closed; null when nothing ends them but time.
    pub checks_left: Option<u32>,
    /// Channels that are offered now.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub fallback: Vec<&'static str>,
    /// By which other channels the same person may go on, and from when on.
    pub next: Vec<NextJson>,
    /// Digits of the code, as the policy says; a managed provider may make longer or shorter ones.
    pub code_length: u8,
}

/// Another channel: "call me instead", with its countdown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = Next))]
pub struct NextJson {
    /// How.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub channel: &'static str,
    /// From when on a send by it is admitted, as far as this person's own limits say.
    pub at: String,
    /// Seconds until then, 0 for now.
    #[serde(rename = "in")]
    pub in_: u64,
    /// It does not reach this destination: ask for another one, such as a mailbox, and send there.
    pub needs_destination: bool,
}

/// One attempt to carry the code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = Delivery))]
pub struct DeliveryJson {
    /// How.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub channel: &'static str,
    /// `dispatching`, `accepted`, `rejected`, `unknown`, `delivered` or `undelivered`.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub status: &'static str,
}

impl VerificationJson {
    /// As it is at the engine's `now`.
    pub fn of(verification: VerificationView, now: Timestamp) -> Self {
        let resend_at = match verification.resend_at {
            Until::At(at) => Some(rfc3339(at)),
            Until::Never => None,
        };
        Self {
            verification_id: verification.id,
            sid: verification.sid,
            status: verification.status.as_str(),
            channel: verification.channel.as_str(),
            to: verification.to,
            purpose: verification.purpose.as_str(),
            deliveries: verification
                .deliveries
                .into_iter()
                .map(|(channel, status)| DeliveryJson {
                    channel: channel.as_str(),
                    status: status.as_str(),
                })
                .collect(),
            expires_at: rfc3339(verification.expires_at),
            // Rounded down: a countdown must not show time that the code does not have.
            expires_in: verification.expires_at.since(now).as_secs(),
            resend_at,
            resend_in: wait_secs(verification.resend_at, now),
            sends_left: verification.sends_left,
            checks_left: verification.checks_left,
            fallback: verification
                .fallback
                .iter()
                .map(|channel| channel.as_str())
                .collect(),
            next: verification
                .next
                .iter()
                .map(|next| NextJson {
                    channel: next.channel.as_str(),
                    at: rfc3339(next.from),
                    in_: wait_secs(Until::At(next.from), now).unwrap_or_default(),
                    needs_destination: next.needs_destination,
                })
                .collect(),
            code_length: verification.code_length,
        }
    }
}

/// The code was right.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = Approval))]
pub struct ApprovalJson {
    /// Always true.
    pub ok: bool,
    /// Always `approved`.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub status: &'static str,
    /// Always true.
    pub valid: bool,
    /// The provider's id where there is one; absent under private disclosure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// Short-lived; redeem it once, where it matters.
    pub proof: String,
    /// Keep it on the device, and pass it with later requests for this user and destination.
    pub device_token: String,
    /// The user whom the send named: compare it with the one for whom you act.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// What the code was sent for: compare it too.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub purpose: &'static str,
    /// True for a test destination: nobody was verified.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub test: bool,
}

impl From<Approval> for ApprovalJson {
    fn from(approval: Approval) -> Self {
        Self {
            ok: true,
            status: "approved",
            valid: true,
            sid: approval.sid,
            proof: approval.proof,
            device_token: approval.device_token,
            user_id: approval.subject,
            purpose: approval.purpose.as_str(),
            test: approval.test,
        }
    }
}

/// What a spent proof proves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = Redemption))]
pub struct RedemptionJson {
    /// Why it was asked for.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub purpose: &'static str,
    /// By which channel.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub channel: &'static str,
    /// What it is worth.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub assurance: &'static str,
    /// When the code was right.
    pub approved_at: String,
    /// True for a test destination: nobody was verified.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub test: bool,
}

impl From<Redemption> for RedemptionJson {
    fn from(redemption: Redemption) -> Self {
        Self {
            purpose: redemption.purpose.as_str(),
            channel: redemption.channel.as_str(),
            assurance: redemption.assurance.as_str(),
            approved_at: rfc3339(redemption.approved_at),
            test: redemption.test,
        }
    }
}

/// A word of the domain, from its text; the error says which words would do and does not repeat what came.
pub fn word<'de, D, T>(json: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: std::str::FromStr<Err = verify_core::vocabulary::UnknownWord>,
{
    let text = Option::<String>::deserialize(json)?;
    let parsed = text.map(|text| text.parse::<T>()).transpose();
    parsed.map_err(|error| serde::de::Error::custom(format!("expected one of: {}", error.expected)))
}

/// A country, from two letters.
pub fn country<'de, D: Deserializer<'de>>(json: D) -> Result<Option<Country>, D::Error> {
    let Some(text) = Option::<String>::deserialize(json)? else {
        return Ok(None);
    };
    Country::new(&text)
        .map(Some)
        .ok_or_else(|| serde::de::Error::custom("expected two letters (ISO 3166-1), like US"))
}

/// An address, from its text.
pub fn address<'de, D: Deserializer<'de>>(json: D) -> Result<Option<IpAddr>, D::Error> {
    let Some(text) = Option::<String>::deserialize(json)? else {
        return Ok(None);
    };
    let parsed = text.parse::<IpAddr>().map(|ip| Some(ip.to_canonical()));
    parsed.map_err(|_| serde::de::Error::custom("expected an IPv4 or IPv6 address"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use verify_core::outcome::Next;
    use verify_core::vocabulary::{Channel, Purpose};

    #[test]
    fn times_are_rfc_3339_even_at_the_end_of_time() {
        assert_eq!(
            rfc3339(Timestamp::from_millis(1_700_000_000_123)),
            "2023-11-14T22:13:20.123Z"
        );
        assert!(rfc3339(Timestamp::MAX).ends_with('Z'));
    }

    #[test]
    fn countdowns_never_promise_too_much() {
        let ends = Timestamp::from_millis(10_999);
        let mut verification =
            VerificationView::pending("v", Channel::Sms, "+1••••••10", Purpose::SignIn, ends);
        verification.resend_at = Until::At(Timestamp::from_millis(5_001));
        verification.fallback = vec![Channel::Call];
        let mut next = Next::new(Channel::Email, Timestamp::from_millis(2_001));
        next.needs_destination = true;
        verification.next = vec![next];
        let view = VerificationJson::of(verification, Timestamp::ZERO);
        assert_eq!((view.expires_in, view.resend_in), (10, Some(6)));
        let json = serde_json::to_value(&view).unwrap();
        assert_eq!(json["fallback"], serde_json::json!(["call"]));
        let next = serde_json::json!([
            { "channel": "email", "at": "1970-01-01T00:00:02.001Z", "in": 3, "needs_destination": true }
        ]);
        assert_eq!(json["next"], next);
        assert_eq!(json.get("sid"), None);
    }
}
