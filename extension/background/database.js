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
  // What was written is on the disk before it is answered for: after a power failure an event that was sent would
  // otherwise be found again in the page's outbox, and be sent under another number.
  const transaction = database.transaction(stores, mode, { durability: "strict" });
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
 * @param {() => void} closed the browser closed it, because its files are damaged or were removed
 * @returns {Promise<IDBDatabase>}
 */
export async function open(name, version, upgrade, closed) {
  const request = indexedDB.open(name, version);
  request.onupgradeneeded = (event) => upgrade(request.result, event.oldVersion);
  const database = await done(request);
  database.onclose = closed;
  return database;
}
