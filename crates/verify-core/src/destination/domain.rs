//! Mail domains. Apart from the mailboxes they belong to, because policies name domains too.

/// The domain in lower-case ASCII (IDNA); `None` without a dot, or with a top-level domain that is a number.
pub(crate) fn to_ascii(domain: &str) -> Option<String> {
    let ascii = idna::domain_to_ascii_strict(domain).ok()?;
    let (_, top) = ascii.rsplit_once('.')?;
    let is_number = top.bytes().all(|byte| byte.is_ascii_digit());
    (!is_number).then_some(ascii)
}
