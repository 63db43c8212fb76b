//! Stores around a store: what one does besides is said once, and everything else goes through.

/// Implements [`Store`](verify_core::store::Store) for a struct with a store in its field `inner`: `apply` as it is
/// written out, `drop_outlived` where it is, and every other call after `first`, which is told the service of those that are
/// about one, and may refuse it. The struct is generic over that store, but for `plain` ones.
#[macro_export]
macro_rules! store_around {
    (plain $name:ident, $($rest:tt)*) => {
        $crate::store_around! { @ [] [$name] $($rest)* }
    };
    ($name:ident, $($rest:tt)*) => {
        $crate::store_around! { @ [<S: Store>] [$name<S>] $($rest)* }
    };
    (@ [$($generics:tt)*] [$of:ty] apply($this:ident, $changeset:ident, $within:ident) $apply:block $(, drop_outlived($dropping:ident, $service:ident, $now:ident, $most:ident) $drop:block)? $(, first $first:path)?) => {
        const _: () = {
            use ::std::time::Duration;
            use ::verify_core::event::Event;
            use ::verify_core::ids::HolderId;
            use ::verify_core::store::*;
            use ::verify_core::time::Timestamp;
            use ::verify_core::vocabulary::ServiceId;

            #[::async_trait::async_trait]
            impl $($generics)* Store for $of {
                #[allow(unused_braces, reason = "what is written out may be one expression")]
                async fn apply(&self, $changeset: &Changeset, $within: Duration) -> StoreAnswer {
                    let $this = self;
                    $apply
                }

                async fn services<'a>(&self, now: Timestamp, after: Option<&'a ServiceId>, most: usize) -> Result<Vec<ServiceId>, StoreFault> {
                    $($first(self, None)?;)?
                    self.inner.services(now, after, most).await
                }

                async fn due(&self, service: &ServiceId, now: Timestamp, most: usize) -> Result<Vec<RecordKey>, StoreFault> {
                    $($first(self, Some(service))?;)?
                    self.inner.due(service, now, most).await
                }

                async fn put_off(&self, service: &ServiceId, record: &RecordKey, now: Timestamp) -> Result<(), StoreFault> {
                    $($first(self, Some(service))?;)?
                    self.inner.put_off(service, record, now).await
                }

                async fn outbox(&self, service: &ServiceId, most: usize) -> Result<Vec<(EventSeq, Event)>, StoreFault> {
                    $($first(self, Some(service))?;)?
                    self.inner.outbox(service, most).await
                }

                async fn acknowledge(&self, service: &ServiceId, through: EventSeq) -> Result<(), StoreFault> {
                    $($first(self, Some(service))?;)?
                    self.inner.acknowledge(service, through).await
                }

                async fn lease(&self, work: Work, service: &ServiceId, holder: HolderId, span: Duration) -> Result<bool, StoreFault> {
                    $($first(self, Some(service))?;)?
                    self.inner.lease(work, service, holder, span).await
                }

                #[allow(unreachable_code, reason = "where it is written out, that is all that is done")]
                async fn drop_outlived(&self, service: &ServiceId, now: Timestamp, most: usize) -> Result<usize, StoreFault> {
                    $(
                        let ($dropping, $service, $now, $most) = (self, service, now, most);
                        return $drop;
                    )?
                    $($first(self, Some(service))?;)?
                    self.inner.drop_outlived(service, now, most).await
                }

                async fn durable(&self) -> Result<Vec<(WrittenUnder, u64)>, StoreFault> {
                    $($first(self, None)?;)?
                    self.inner.durable().await
                }

                async fn durable_under<'a>(&self, under: WrittenUnder, after: Option<&'a (ServiceId, RecordKey)>, most: usize) -> Result<Vec<(ServiceId, RecordKey)>, StoreFault> {
                    $($first(self, None)?;)?
                    self.inner.durable_under(under, after, most).await
                }

                async fn health(&self) -> Result<Origin, StoreFault> {
                    $($first(self, None)?;)?
                    self.inner.health().await
                }
            }
        };
    };
}
