//! Claims: create-once markers.

use verify_core::store::Claim;

use super::fixture::*;

/// Whoever comes second gets the value of the first.
pub async fn a_claim_is_created_once_and_returned(store: Subject) {
    applied(&store, change(0).claiming(claim(1), b"first", 1_000)).await;
    let seen = refused(&store, change(1).claiming(claim(1), b"second", 2_000)).await;
    assert_eq!(
        seen.claims,
        [Claim {
            key: claim(1),
            value: b"first".to_vec(),
            expires_at: at(1_000)
        }]
    );
    let seen = refused(&store, change(2).claiming(claim(1), b"third", 2_000)).await;
    assert_eq!(
        seen.claim(&claim(1)).map(|claim| claim.value.clone()),
        Some(b"first".to_vec())
    );
    applied(&store, change(2).claiming(claim(2), b"", 1_000)).await;
}

/// At its end it can be created again.
pub async fn i11_claims_end_and_not_before_their_time(store: Subject) {
    applied(&store, change(0).claiming(claim(1), b"", 1_000)).await;
    refused(&store, change(999).claiming(claim(1), b"", 2_000)).await;
    applied(&store, change(1_000).claiming(claim(1), b"", 2_000)).await;
    refused(&store, change(1_999).claiming(claim(1), b"", 3_000)).await;
}

/// A send that reached nobody frees its key; freeing what nobody holds is fine.
pub async fn an_unclaimed_key_is_free_again(store: Subject) {
    applied(&store, change(0).claiming(claim(1), b"", 1_000)).await;
    let mut freeing = change(1);
    freeing.unclaim = vec![claim(1), claim(2)];
    applied(&store, freeing.clone()).await;
    applied(&store, freeing).await;
    applied(&store, change(2).claiming(claim(1), b"", 1_000)).await;
}
