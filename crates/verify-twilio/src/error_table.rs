//! What each of Twilio's error codes means for a send, a check or a report. The only place that knows them.
//!
//! The table holds the codes that Verify, Messaging and Voice document around verification. A code that is not in it
//! is judged by the HTTP status that came with it.

use std::time::Duration;

use verify_core::port::RejectionKind::{self, *};

use Class::{Afterwards, ByName, Done, Rejects, Unclear};

/// Account concurrency or a rate limit of the Verify Service: not processed.
pub(crate) const TOO_MANY_REQUESTS: u32 = 20429;
/// There is no such thing, or none any more.
pub(crate) const NOT_FOUND: u32 = 20404;
/// The verification's checks are used up.
pub(crate) const MOST_CHECKS: u32 = 60202;
/// The verification's sends are used up.
const MOST_SENDS: u32 = 60203;
/// Several starts for one number at a time.
const STARTS_AT_ONCE: u32 = 60212;

/// What an error means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// It was surely not done, for this reason.
    Rejects(RejectionKind),
    /// A parameter was wrong: the destination's matter where the message names `To`, our own where it does not.
    ByName,
    /// A warning: it was done all the same, perhaps with another text.
    Done,
    /// Told later, of an attempt that was accepted: in callbacks, attempts and events. Not an answer to a call.
    Afterwards,
    /// A fault on Twilio's side: it may have been done.
    Unclear,
}

/// One code, or a run of codes that mean the same.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The first code.
    pub first: u32,
    /// The last code; the first again for a single one.
    pub last: u32,
    /// The statuses it is known to come with; empty where none is documented.
    pub http: &'static [u16],
    /// What it means for us.
    pub class: Class,
    /// What it means in words, for operators.
    pub meaning: &'static str,
}

/// The row of a code.
pub fn find(code: u32) -> Option<&'static Row> {
    let after = TABLE.partition_point(|row| row.first <= code);
    TABLE.get(after.checked_sub(1)?).filter(|row| code <= row.last)
}

/// What an answer with a 4xx status means. Never [`Class::ByName`]: the message has been looked at.
pub fn classify(http: u16, code: Option<u32>, message: &str) -> Class {
    match code.and_then(find).map(|row| row.class) {
        Some(ByName) if names(message, "To") => Rejects(InvalidDestination),
        Some(ByName) => Rejects(BadRequest),
        Some(class @ Rejects(_)) => class,
        // Forbidden is not done, whatever else the code is known for.
        Some(Done | Afterwards | Unclear) if http == 403 => Rejects(Misconfigured),
        Some(class @ (Done | Afterwards | Unclear)) => class,
        None => Rejects(by_status(http, code)),
    }
}

/// A 4xx of no known code: refused, so surely not done. A 401 with a code is of what was asked for, not of us.
fn by_status(http: u16, code: Option<u32>) -> RejectionKind {
    match http {
        401 if code.is_none() => Credentials,
        401 | 402 | 403 | 404 | 407 => Misconfigured,
        429 => AccountQuota,
        _ => BadRequest,
    }
}

/// Of `To`: true for ``Invalid parameter `To`: …``, `Invalid parameter: To`, `Invalid 'To' Phone Number: …` and
/// `The 'To' number … is not a valid phone number`; false where another parameter's value holds the word.
pub(crate) fn names(message: &str, parameter: &str) -> bool {
    let mut words = message
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty());
    let first =
        words.find(|word| !["the", "invalid", "parameter"].contains(&word.to_ascii_lowercase().as_str()));
    first == Some(parameter)
}

/// How long a cap on a destination holds where the answer does not say it. What is used up ends with the verification,
/// which lives ten minutes; starts of one number that meet are over in seconds.
pub(crate) fn usual_wait(code: Option<u32>) -> Option<Duration> {
    match code? {
        MOST_CHECKS | MOST_SENDS => Some(Duration::from_secs(600)),
        STARTS_AT_ONCE => Some(Duration::from_secs(10)),
        _ => None,
    }
}

const fn row(first: u32, http: &'static [u16], class: Class, meaning: &'static str) -> Row {
    Row {
        first,
        last: first,
        http,
        class,
        meaning,
    }
}

const fn run(first: u32, last: u32, class: Class, meaning: &'static str) -> Row {
    Row {
        first,
        last,
        http: &[],
        class,
        meaning,
    }
}

/// Every known code, ascending.
///
/// Where one code has several causes, the kind is the one that costs least if it is wrong: a cause that depends on
/// the destination is not filed under the operator, because anybody could turn an alarm on with a number then.
#[rustfmt::skip] // One line a code.
pub const TABLE: &[Row] = &[
    row(11200, &[], Afterwards, "twilio could not fetch our webhook in time"),
    row(13227, &[], Rejects(RegionBlocked), "no voice geographic permission for the destination"),
    row(20001, &[], Done, "unknown parameters were ignored"),
    row(20003, &[401, 403], Rejects(Credentials), "credentials are wrong, of another region, or lack the permission"),
    row(20004, &[405], Rejects(BadRequest), "method not allowed"),
    row(20005, &[], Rejects(Credentials), "the account is suspended or without funds"),
    row(20008, &[403], Rejects(Credentials), "test credentials do not work with verify"),
    row(20403, &[403], Rejects(Misconfigured), "forbidden for this account"),
    row(20404, &[404], Rejects(Misconfigured), "unknown id, or a verification that has ended"),
    row(20409, &[409], Rejects(BadRequest), "conflict with the state of the resource"),
    row(20422, &[422], Rejects(BadRequest), "a parameter is invalid"),
    row(20429, &[429], Rejects(AccountQuota), "too many requests of the account or by a service rate limit"),
    row(20500, &[500], Unclear, "internal error; an act may have been done"),
    row(20503, &[503], Unclear, "service unavailable; an act may have been done"),
    row(21211, &[400], ByName, "not a phone number"),
    row(21215, &[], Rejects(RegionBlocked), "no voice geographic permission for the destination"),
    row(21216, &[], Rejects(RegionBlocked), "the destination is on the voice block list"),
    row(21408, &[400], Rejects(RegionBlocked), "no messaging geographic permission for the destination"),
    row(21608, &[400, 403], Rejects(Misconfigured), "a trial account reaches verified numbers only"),
    row(21610, &[400], Rejects(OptedOut), "the recipient unsubscribed with STOP"),
    row(21612, &[400], Rejects(ChannelUnreachable), "not reachable by text message"),
    row(21614, &[400], Rejects(ChannelUnreachable), "not a mobile number"),
    row(30001, &[], Afterwards, "queue overflow"),
    row(30002, &[], Afterwards, "the account was suspended"),
    row(30003, &[], Afterwards, "the handset is off or out of reach"),
    row(30004, &[], Afterwards, "the recipient blocks the message"),
    row(30005, &[], Afterwards, "the number is not in use"),
    row(30006, &[], Afterwards, "a landline, or a carrier that cannot be reached"),
    row(30007, &[], Afterwards, "filtered as spam"),
    row(30008, &[], Afterwards, "not delivered for an unknown reason"),
    row(30022, &[], Afterwards, "over the rate of the 10dlc campaign"),
    row(30023, &[], Afterwards, "over the daily cap of the 10dlc brand"),
    row(30027, &[], Afterwards, "over the carrier's daily cap of the 10dlc campaign"),
    row(30034, &[], Afterwards, "the sender is not registered for 10dlc"),
    row(30410, &[], Afterwards, "the carrier did not answer; perhaps delivered"),
    row(30450, &[], Afterwards, "blocked by the protection against pumped traffic"),
    row(30453, &[], Afterwards, "blocked by the protection against pumped traffic"),
    run(60001, 60008, Afterwards, "silent network authentication failed on the carrier's side"),
    row(60200, &[400], ByName, "a parameter is invalid; the message names it"),
    row(60201, &[], Rejects(Misconfigured), "the template's translation is not approved"),
    row(60202, &[429], Rejects(DestinationQuota), "the checks of this verification are used up"),
    row(60203, &[429], Rejects(DestinationQuota), "the sends of this verification are used up"),
    row(60204, &[403], Rejects(Misconfigured), "the verify service does not have this feature"),
    row(60205, &[403], Rejects(ChannelUnreachable), "a landline gets no text messages"),
    row(60206, &[400], Rejects(BadRequest), "amount and payee are required"),
    row(60207, &[400], Rejects(BadRequest), "the verify service has too many rate limits"),
    row(60208, &[400], Rejects(BadRequest), "a rate limit of this name exists"),
    row(60209, &[400], Rejects(BadRequest), "not a name for a rate limit"),
    row(60210, &[400], Rejects(BadRequest), "the rate limit has too many buckets"),
    row(60211, &[400], Rejects(BadRequest), "a bucket with this interval exists"),
    row(60212, &[429], Rejects(DestinationQuota), "too many starts for one number at a time"),
    row(60213, &[400], Rejects(BadRequest), "the country has a messaging configuration"),
    row(60214, &[400], Rejects(Misconfigured), "no calls with amount and payee"),
    row(60215, &[400], Rejects(Misconfigured), "too many mailers"),
    row(60216, &[], Rejects(Misconfigured), "the mailer's key cannot be stored"),
    row(60217, &[400], Rejects(Misconfigured), "no mailer integration"),
    row(60218, &[400], Rejects(Misconfigured), "the mail template is inactive"),
    row(60219, &[400], Rejects(Misconfigured), "the mail template has no place for the code"),
    row(60220, &[400], Rejects(RegionBlocked), "the account is not vetted for messages to china"),
    row(60221, &[400], Rejects(BadRequest), "a check names no verification"),
    row(60222, &[403], Rejects(Misconfigured), "the mail's sender is not verified"),
    row(60223, &[], Rejects(Misconfigured), "the channel is off in the verify service"),
    row(60224, &[], Rejects(Misconfigured), "substitutions for the template are missing"),
    row(60225, &[409], Rejects(BadRequest), "the translation exists"),
    row(60226, &[], Rejects(Misconfigured), "messages to china need a friendly name"),
    row(60227, &[], Rejects(Misconfigured), "the template does not fit the channel"),
    row(60228, &[], Rejects(Misconfigured), "no such template"),
    row(60229, &[], Rejects(Misconfigured), "no such translation of the template"),
    run(60230, 60234, Rejects(Misconfigured), "the text or the sender of the verify service is not set up"),
    run(60235, 60237, Rejects(InvalidDestination), "the mailbox's domain cannot be read or is denied"),
    row(60238, &[], Rejects(RegionBlocked), "blocked: the account is under review, or the country is not served"),
    run(60239, 60241, Done, "sent with another template or text"),
    row(60242, &[], Rejects(Misconfigured), "no approved whatsapp template for account and language"),
    run(60243, 60244, Done, "sent with another template or text"),
    row(60245, &[], Rejects(Misconfigured), "over the mailer's limit"),
    row(60246, &[], Rejects(BadRequest), "the verify service exists"),
    row(60247, &[], Rejects(Misconfigured), "the message has more than 500 characters"),
    row(60248, &[], Rejects(Misconfigured), "the friendly name has a word that is not allowed"),
    row(60250, &[], Rejects(RegionBlocked), "the account is not registered for australia"),
    row(60300, &[400], Rejects(BadRequest), "a parameter is invalid; not processed"),
    row(60301, &[409], Rejects(BadRequest), "the entity exists"),
    row(60302, &[400], Rejects(BadRequest), "the factor type exists"),
    row(60304, &[409], Rejects(BadRequest), "the entity exists"),
    row(60305, &[400], Rejects(BadRequest), "parameters of the access token are missing"),
    row(60306, &[400], Rejects(BadRequest), "the request is invalid"),
    row(60308, &[429], Rejects(DestinationQuota), "the challenge's checks are used up"),
    row(60309, &[429], Rejects(DestinationQuota), "the challenge's push messages are used up"),
    row(60310, &[429], Rejects(DestinationQuota), "the factor's checks are used up"),
    row(60311, &[403], Rejects(BadRequest), "the factor was not verified"),
    row(60312, &[429], Rejects(DestinationQuota), "too many challenges of one factor"),
    row(60313, &[403], Rejects(Misconfigured), "factors may not be made"),
    row(60314, &[400], Rejects(BadRequest), "the binding has the wrong form"),
    row(60315, &[400], Rejects(BadRequest), "the entity has too many factors"),
    row(60317, &[409], Rejects(BadRequest), "the factor exists"),
    row(60318, &[403], Rejects(BadRequest), "the factor is not verified"),
    run(60322, 60324, Rejects(BadRequest), "the challenge has ended or was not met"),
    row(60325, &[], Done, "sent with another template or text"),
    row(60326, &[429], Rejects(DestinationQuota), "too many new factors of one entity"),
    row(60327, &[], Done, "sent with another template or text"),
    row(60328, &[], Rejects(AccountQuota), "too many new entities"),
    row(60329, &[], Rejects(Misconfigured), "no silent authentication with amount and payee"),
    row(60330, &[400], Rejects(Misconfigured), "the webhook did not answer 200"),
    row(60331, &[], Rejects(BadRequest), "no speech in this language"),
    run(60333, 60335, Done, "sent with another template or text"),
    run(60361, 60392, Rejects(BadRequest), "a field of a passkey, factor or challenge is invalid or not found"),
    run(60401, 60407, Rejects(BadRequest), "an error of twilio's mobile library"),
    row(60408, &[], Rejects(Misconfigured), "the channel takes no template"),
    row(60410, &[403], Rejects(PrefixBlocked), "fraud guard blocks the prefix on this channel for twelve hours"),
    row(60411, &[], Done, "the number is on the safe list already"),
    row(60412, &[], Rejects(InvalidDestination), "taken for a fraudulent sign-up"),
    row(60413, &[], Rejects(InvalidDestination), "taken for a fraudulent device"),
    run(60420, 60441, Rejects(BadRequest), "an id, a channel or a status of a newer interface is not valid"),
    row(60500, &[], Afterwards, "silent authentication: the sim has another number"),
    row(60510, &[], Afterwards, "silent authentication failed"),
    row(60511, &[], Afterwards, "silent authentication failed"),
    row(60517, &[], Afterwards, "silent authentication failed"),
    row(60519, &[], Afterwards, "silent authentication is not finished"),
    row(60520, &[], Afterwards, "silent authentication failed"),
    run(60531, 60534, Afterwards, "silent authentication failed"),
    row(60540, &[], Afterwards, "silent authentication: the carrier does not know the number"),
    row(60550, &[], Rejects(Misconfigured), "no channel could be chosen"),
    row(60600, &[], Rejects(BadRequest), "lookup: the number is not covered"),
    row(60602, &[400], Rejects(BadRequest), "an app hash goes with text messages only"),
    row(60603, &[401], Rejects(Misconfigured), "the mailer has no credits left"),
    row(60604, &[401], Rejects(Misconfigured), "the mailer refuses the account"),
    row(60605, &[403], Rejects(RegionBlocked), "no verify geographic permission for the prefix on this channel"),
    run(60606, 60610, Rejects(BadRequest), "lookup: package or country is not supported"),
    row(60611, &[], Rejects(AccountQuota), "lookup: over the quota"),
    row(60612, &[], Rejects(BadRequest), "lookup: not a mobile number"),
    row(60613, &[], Rejects(Down), "lookup: its source is degraded"),
    row(60614, &[], Rejects(Misconfigured), "lookup: wrong region"),
    row(60615, &[], Rejects(BadRequest), "lookup: not supported"),
    row(60616, &[], Rejects(AccountQuota), "lookup: too many requests"),
    run(60617, 60618, Rejects(BadRequest), "lookup: not supported"),
    row(60619, &[], Rejects(Misconfigured), "lookup: wrong region"),
    run(60620, 60625, Rejects(BadRequest), "lookup: not available for the number or the account"),
    row(60626, &[], Rejects(DestinationQuota), "lookup: too many requests for one number"),
    run(68001, 68007, Rejects(BadRequest), "an error of twilio's mobile library"),
    row(68008, &[], Rejects(Misconfigured), "whatsapp is not set up in the verify service"),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// What Twilio documents, written down a second time so that a row cannot get lost.
    #[rustfmt::skip]
    const DOCUMENTED: &[u32] = &[
        11200, 13227, 20001, 20003, 20004, 20005, 20008, 20403, 20404, 20409, 20422, 20429, 20500, 20503,
        21211, 21215, 21216, 21408, 21608, 21610, 21612, 21614, 30001, 30002, 30003, 30004, 30005, 30006,
        30007, 30008, 30022, 30023, 30027, 30034, 30410, 30450, 30453, 60001, 60002, 60003, 60004, 60005,
        60006, 60007, 60008, 60200, 60201, 60202, 60203, 60204, 60205, 60206, 60207, 60208, 60209, 60210,
        60211, 60212, 60213, 60214, 60215, 60216, 60217, 60218, 60219, 60220, 60221, 60222, 60223, 60224,
        60225, 60226, 60227, 60228, 60229, 60230, 60231, 60232, 60233, 60234, 60235, 60236, 60237, 60238,
        60239, 60240, 60241, 60242, 60243, 60244, 60245, 60246, 60247, 60248, 60250, 60300, 60301, 60302,
        60304, 60305, 60306, 60308, 60309, 60310, 60311, 60312, 60313, 60314, 60315, 60317, 60318, 60322,
        60323, 60324, 60325, 60326, 60327, 60328, 60329, 60330, 60331, 60333, 60334, 60335, 60361, 60390,
        60391, 60392, 60401, 60407, 60408, 60410, 60411, 60412, 60413, 60420, 60428, 60431, 60441, 60500,
        60510, 60511, 60517, 60519, 60520, 60531, 60532, 60533, 60534, 60540, 60550, 60600, 60602, 60603,
        60604, 60605, 60606, 60611, 60612, 60613, 60614, 60616, 60619, 60622, 60623, 60624, 60625, 60626,
        68001, 68007, 68008,
    ];

    #[test]
    fn every_documented_code_has_a_row() {
        let missing: Vec<_> = DOCUMENTED.iter().filter(|code| find(**code).is_none()).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn the_table_is_ascending_without_overlap() {
        for pair in TABLE.windows(2) {
            assert!(
                pair[0].first <= pair[0].last && pair[0].last < pair[1].first,
                "{pair:?}"
            );
        }
        for code in [0, 11199, 60249, 60316, 68009, u32::MAX] {
            assert!(find(code).is_none(), "{code}");
        }
    }

    #[test]
    fn the_kinds_that_decide_something() {
        for (code, http, kind) in [
            (20003, 401, Credentials),
            (20429, 429, AccountQuota),
            (21610, 400, OptedOut),
            (21614, 400, ChannelUnreachable),
            (60202, 429, DestinationQuota),
            (60203, 429, DestinationQuota),
            (60205, 403, ChannelUnreachable),
            (60212, 429, DestinationQuota),
            (60410, 403, PrefixBlocked),
            (60605, 403, RegionBlocked),
            (20404, 404, Misconfigured),
            (68008, 400, Misconfigured),
        ] {
            assert_eq!(classify(http, Some(code), ""), Rejects(kind), "{code}");
        }
    }

    #[test]
    fn a_wrong_parameter_is_the_destinations_matter_only_where_it_is_named() {
        for (code, message, kind) in [
            (60200, "Invalid parameter `To`: +12025550110", InvalidDestination),
            (60200, "Invalid parameter: To", InvalidDestination),
            (60200, "Invalid parameter: Code", BadRequest),
            (60200, "Invalid parameter `Locale`: To", BadRequest),
            (60200, "Invalid parameter `Tags`: `To`", BadRequest),
            (60200, "Invalid parameter", BadRequest),
            (60200, "", BadRequest),
            (21211, "Invalid 'To' Phone Number: +1202", InvalidDestination),
            (
                21211,
                "The 'To' number +1202 is not a valid phone number",
                InvalidDestination,
            ),
            (21211, "Invalid parameter", BadRequest),
        ] {
            assert_eq!(classify(400, Some(code), message), Rejects(kind), "{message}");
        }
    }

    #[test]
    fn i109_a_401_about_something_else_than_the_credentials_is_not_taken_for_one() {
        assert_eq!(classify(401, None, ""), Rejects(Credentials));
        for code in [60603, 60604, 99_999] {
            assert_eq!(classify(401, Some(code), ""), Rejects(Misconfigured), "{code}");
        }
    }

    #[test]
    fn i34_what_is_forbidden_is_surely_not_done() {
        for row in TABLE {
            for code in [row.first, row.last] {
                let class = classify(403, Some(code), "");
                assert!(matches!(class, Rejects(_)), "{code}: {class:?}");
            }
        }
    }

    #[test]
    fn unknown_codes_go_by_status() {
        for code in [None, Some(99_999)] {
            for (http, kind) in [
                (400, BadRequest),
                (403, Misconfigured),
                (404, Misconfigured),
                (407, Misconfigured),
                (409, BadRequest),
                (429, AccountQuota),
            ] {
                assert_eq!(
                    classify(http, code, "Invalid parameter `To`"),
                    Rejects(kind),
                    "{http}"
                );
            }
        }
    }
}
