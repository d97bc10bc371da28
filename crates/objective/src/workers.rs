//! Forward and backward passes side by side on the cores of the CPU.
//!
//! On small models two passes on one core each are faster than one pass on two: nothing waits for
//! the slowest part of every operation. What is computed side by side never depends on the number
//! of threads, only when it is computed.

use burn::tensor::Device;
use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

/// Pools of threads that share the cores.
#[derive(Debug)]
pub struct Workers {
    pools: Vec<ThreadPool>,
}

impl Workers {
    /// Workers for up to `parts` passes at a time on `device`. On another device than the CPU there
    /// is one, the calling thread: such a device does its own scheduling.
    ///
    /// # Errors
    /// When the operating system gives no threads.
    pub fn new(device: &Device, parts: usize) -> Result<Self, ThreadPoolBuildError> {
        let threads = rayon::current_num_threads();
        Self::share(threads, if kernels::is_fused(device) { threads.min(parts) } else { 0 })
    }

    /// `count` pools that share `threads` threads.
    fn share(threads: usize, count: usize) -> Result<Self, ThreadPoolBuildError> {
        let pool = |i: usize| {
            let threads = threads / count + usize::from(i < threads % count);
            let named = move |thread| format!("worker-{i}-{thread}");
            ThreadPoolBuilder::new().num_threads(threads).thread_name(named).build()
        };
        Ok(Self { pools: (0..count).map(pool).collect::<Result<_, _>>()? })
    }

    /// `f` of every item, in the order of the items.
    pub fn map<T: Send, R: Send>(&self, items: Vec<T>, f: impl Fn(T) -> R + Sync) -> Vec<R> {
        if self.pools.is_empty() {
            return items.into_iter().map(f).collect();
        }
        let (count, f) = (self.pools.len(), &f);
        // Item i goes to worker i modulo their number; the workers' results are dealt back in the
        // same way.
        let mut hands: Vec<Vec<T>> = (0..count).map(|_| Vec::new()).collect();
        items.into_iter().enumerate().for_each(|(i, item)| hands[i % count].push(item));
        let work = |(pool, hand): (&ThreadPool, Vec<T>)| {
            pool.install(|| hand.into_iter().map(f).collect::<Vec<R>>())
        };
        let done: Vec<Vec<R>> = std::thread::scope(|scope| {
            let pairs = self.pools.iter().zip(hands);
            let threads: Vec<_> = pairs.map(|pair| scope.spawn(move || work(pair))).collect();
            let join = |thread: std::thread::ScopedJoinHandle<'_, Vec<R>>| match thread.join() {
                Ok(results) => results,
                Err(panic) => std::panic::resume_unwind(panic),
            };
            threads.into_iter().map(join).collect()
        });
        let mut done: Vec<_> = done.into_iter().map(Vec::into_iter).collect();
        let total: usize = done.iter().map(ExactSizeIterator::len).sum();
        (0..total).map(|i| done[i % count].next().expect("one result an item")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items_from_any_number_of_workers() {
        let items: Vec<usize> = (0..11).collect();
        let want: Vec<usize> = items.iter().map(|i| i * i).collect();
        for count in [0, 1, 2, 3, 20] {
            let workers = Workers::share(3.max(count), count).expect("workers");
            assert_eq!(workers.map(items.clone(), |i| i * i), want);
        }
    }

    #[test]
    fn the_threads_are_shared_out() {
        let workers = Workers::share(5, 3).expect("workers");
        let threads: Vec<usize> =
            workers.pools.iter().map(ThreadPool::current_num_threads).collect();
        assert_eq!(threads, [2, 2, 1]);
    }
}
