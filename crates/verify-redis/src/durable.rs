//! Durable records, by the keys that they were written under: two bytes, and then the record's name.

use verify_core::keys::KeyId;
use verify_core::store::{RecordKey, StoreFault, WrittenUnder};
use verify_core::vocabulary::ServiceId;

use crate::keys::Keys;
use crate::store::Inner;
use crate::work::limit;

impl Inner {
    pub(crate) async fn durable(&self) -> Result<Vec<(WrittenUnder, u64)>, StoreFault> {
        let mut counted = std::collections::BTreeMap::new();
        for service in self.listed().await? {
            let keys = &self.services.of(&service).keys;
            let mut next = Some(vec![0, 0]);
            while let Some(from) = next {
                let Some(first) = self.range(keys, &bound(b'[', &from), b"+", 1).await?.pop() else {
                    break;
                };
                let (Some(written), Some(begins)) = (under(&first), first.first_chunk::<2>()) else {
                    return Err(StoreFault::corrupt("the name of a durable record is none"));
                };
                next = after(*begins);
                let mut command = redis::cmd("ZLEXCOUNT");
                command.arg(keys.durable()).arg(bound(b'[', begins));
                command.arg(next.as_ref().map_or(b"+".to_vec(), |next| bound(b'(', next)));
                *counted.entry(written).or_default() += self.query::<u64>(keys.slot, command).await?;
            }
        }
        Ok(counted.into_iter().collect())
    }

    pub(crate) async fn durable_under(
        &self,
        under: WrittenUnder,
        after: Option<&(ServiceId, RecordKey)>,
        most: usize,
    ) -> Result<Vec<(ServiceId, RecordKey)>, StoreFault> {
        let Some(seal) = under.seal else {
            return Ok(Vec::new());
        };
        let begins = [under.fingerprint.get(), seal.get()];
        let upto = self::after(begins).map_or(b"+".to_vec(), |next| bound(b'(', &next));
        let mut found = Vec::new();
        for service in self.listed().await? {
            let from = match after {
                Some((of, _)) if service < *of => continue,
                Some((of, key)) if service == *of => {
                    bound(b'(', &[begins.as_slice(), &key.to_bytes()].concat())
                }
                Some(_) | None => bound(b'[', &begins),
            };
            let keys = &self.services.of(&service).keys;
            let names = self.range(keys, &from, &upto, most - found.len()).await?;
            let known = names
                .iter()
                .filter_map(|name| RecordKey::from_bytes(name.get(2..)?));
            found.extend(known.map(|key| (service.clone(), key)));
            if found.len() == most {
                break;
            }
        }
        Ok(found)
    }

    async fn range(
        &self,
        keys: &Keys,
        from: &[u8],
        upto: &[u8],
        most: usize,
    ) -> Result<Vec<Vec<u8>>, StoreFault> {
        let mut command = redis::cmd("ZRANGEBYLEX");
        command
            .arg(keys.durable())
            .arg(from)
            .arg(upto)
            .arg("LIMIT")
            .arg(0)
            .arg(limit(most));
        self.query(keys.slot, command).await
    }
}

/// A bound with its sign before it.
fn bound(sign: u8, bytes: &[u8]) -> Vec<u8> {
    let mut bound = vec![sign];
    bound.extend_from_slice(bytes);
    bound
}

/// The two bytes behind these. `None`: there are none.
fn after(begins: [u8; 2]) -> Option<Vec<u8>> {
    let next = u16::from_be_bytes(begins).checked_add(1)?;
    Some(next.to_be_bytes().to_vec())
}

fn under(name: &[u8]) -> Option<WrittenUnder> {
    let (fingerprint, rest) = name.split_first()?;
    let seal = rest.first()?;
    Some(WrittenUnder {
        fingerprint: KeyId::new(*fingerprint),
        seal: Some(KeyId::new(*seal)),
    })
}
