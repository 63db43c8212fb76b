//! What a script, or whoever asks it, can do wrong: for tests of the tests.

use crate::script::{DECIDE, Script};

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// The script takes nothing back, and says so.
    ForgetsTakebacks,
    /// The script writes what it counts before it knows whether it is refused.
    WritesBeforeItDecides,
    /// The script takes a claim for valid for as long as its key is there.
    JudgesByTtl,
    /// A key is not among those that are declared.
    LeavesAKeyUndeclared,
    /// The script admits one more than the core does, and its decision is believed.
    Trusts,
    /// The script admits one more than the core does.
    Drifts,
    /// The script counts what is over.
    Stricter,
}

impl Flaw {
    /// The script with it.
    pub(crate) fn script(self) -> Script {
        let text = DECIDE.text();
        let (what, by) = match self {
            Self::ForgetsTakebacks => ("      if after then\n", "      if false then\n"),
            Self::WritesBeforeItDecides => (
                "    if mode ~= 1 and denied(",
                "    if counts then write('HSET', KEYS[STRUCTURAL + print_of[counter]], scopes[print_of[counter]][place_of[counter]], bytes_of(counted(of_rule, rule, cost, now), MOST)) end\n    if mode ~= 1 and denied(",
            ),
            Self::JudgesByTtl => ("return not held or held <= now", "return not held"),
            Self::LeavesAKeyUndeclared => (
                "  if writes then\n    -- The outbox",
                "  if writes then\n    write('SET', KEYS[LANE] .. 'n', 1, 'PX', 60000)\n    -- The outbox",
            ),
            Self::Stricter => (
                "      if add(state[2 * i - 1], rule.per) > now then used",
                "      if true then used",
            ),
            Self::Trusts | Self::Drifts => (
                "return used + cost > rule.max",
                "return used + cost > rule.max + 1",
            ),
        };
        assert!(text.contains(what), "the script has other words by now: {what}");
        Script::of(&text.replacen(what, by, 1))
    }
}

/// The script in a server that touches no key but those that are declared.
pub(crate) fn watched(script: &Script) -> Script {
    let watch = "local declared = {}
for _, key in ipairs(KEYS) do declared[key] = true end
local function watched(name, ...)
  local keys = { ... }
  for i = 1, name == 'MGET' and #keys or math.min(#keys, 1) do
    if not declared[keys[i]] then error('a key that is not declared', 0) end
  end
  return redis.call(name, ...)
end
local call, read, pack, max, min = watched,";
    let plain = "local call, read, pack, max, min = redis.call,";
    assert!(
        script.text().contains(plain),
        "the script has other words by now: {plain}"
    );
    Script::of(&script.text().replacen(plain, watch, 1))
}
