/** IndexedDB with promises, as little of it as the queue needs. */

/**
 * @template T
 * @param {IDBRequest<T>} request
 * @returns {Promise<T>}
 */
export function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/**
 * Run `work` in one transaction: all of it is written, or none.
 * @template T
 * @param {IDBDatabase} database
 * @param {string[]} stores
 * @param {IDBTransactionMode} mode
 * @param {(store: (name: string) => IDBObjectStore) => Promise<T>} work awaits nothing but `done()`
 * @returns {Promise<T>}
 */
export async function transact(database, stores, mode, work) {
  const transaction = database.transaction(stores, mode);
  const committed = new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve(undefined);
    transaction.onabort = () => reject(transaction.error ?? new Error("The browser's database gave up a transaction"));
  });
  committed.catch(() => {}); // awaited below; work()'s own error comes first
  let result;
  try {
    result = await work((name) => transaction.objectStore(name));
  } catch (error) {
    try {
      transaction.abort();
    } catch {
      // it has been aborted by what failed
    }
    throw error;
  }
  await committed;
  return result;
}

/**
 * @param {string} name
 * @param {number} version
 * @param {(database: IDBDatabase, from: number) => void} upgrade
 * @returns {Promise<IDBDatabase>}
 */
export function open(name, version, upgrade) {
  const request = indexedDB.open(name, version);
  request.onupgradeneeded = (event) => upgrade(request.result, event.oldVersion);
  return done(request);
}
