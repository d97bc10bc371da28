//! Forward and backward passes side by side on the cores of the CPU.
//!
//! On small models two passes on one core each are faster than one pass on two: no operation waits
//! for the slowest of its parts. The number of threads changes when a pass is computed, never its
//! result.

use std::thread::ScopedJoinHandle;

use burn::tensor::Device;
use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

/// Pools of threads that share the cores.
#[derive(Debug)]
pub struct Workers {
    pools: Vec<ThreadPool>,
}

impl Workers {
    /// Workers for up to `parts` passes at a time on `device`. A device other than the CPU
    /// schedules by itself: there the only worker is the calling thread.
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

    /// Applies `f` to every item; the results are in the order of the items.
    pub fn map<T: Send, R: Send>(&self, items: Vec<T>, f: impl Fn(T) -> R + Sync) -> Vec<R> {
        if self.pools.is_empty() {
            return items.into_iter().map(f).collect();
        }

        // Item i goes to queue i modulo their number, and its result comes from there.
        let count = self.pools.len();
        let mut queues: Vec<Vec<T>> = (0..count).map(|_| Vec::new()).collect();
        items.into_iter().enumerate().for_each(|(i, item)| queues[i % count].push(item));

        let mut results: Vec<_> =
            self.map_queues(queues, &f).into_iter().map(Vec::into_iter).collect();
        let total: usize = results.iter().map(ExactSizeIterator::len).sum();
        (0..total).map(|i| results[i % count].next().expect("one result an item")).collect()
    }

    /// Applies `f` to the items of every queue, one queue on each pool.
    fn map_queues<T: Send, R: Send>(
        &self,
        queues: Vec<Vec<T>>,
        f: &(impl Fn(T) -> R + Sync),
    ) -> Vec<Vec<R>> {
        let work = |(pool, queue): (&ThreadPool, Vec<T>)| {
            pool.install(|| queue.into_iter().map(f).collect::<Vec<R>>())
        };
        let join = |thread: ScopedJoinHandle<'_, Vec<R>>| match thread.join() {
            Ok(results) => results,
            Err(panic) => std::panic::resume_unwind(panic),
        };

        std::thread::scope(|scope| {
            let mut threads = Vec::with_capacity(self.pools.len());
            for pair in self.pools.iter().zip(queues) {
                threads.push(scope.spawn(move || work(pair)));
            }
            threads.into_iter().map(join).collect()
        })
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
