// The token: where it comes from, where it is kept, whom it names.

const STORE = "agent-fpm.token";

export const storedToken = () => sessionStorage.getItem(STORE);
export const keepToken = (token) => sessionStorage.setItem(STORE, token);
export const forgetToken = () => sessionStorage.removeItem(STORE);

/** A token in the URL fragment; it is taken out of the address bar and of the history at once. */
export function tokenFromFragment() {
  const fields = fragment();
  const token = fields.get("token");
  if (token === null) return null;
  fields.delete("token");
  history.replaceState(null, "", location.pathname + location.search + (fields.size ? `#${fields}` : ""));
  return clean(token);
}

export const fragment = () => new URLSearchParams(location.hash.slice(1));

/** What was pasted, without white space and "Bearer". */
export function clean(token) {
  return token.trim().replace(/^bearer\s+/i, "").replace(/\s+/g, "");
}

/** Only such a token can be put in a header. */
export const isSendable = (token) => /^[\x21-\x7e]+$/.test(token);

/** The user the token names, for display only: the server decides. */
export function userOf(token) {
  try {
    const text = atob(token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/"));
    const claims = JSON.parse(new TextDecoder().decode(Uint8Array.from(text, (c) => c.charCodeAt(0))));
    return String(claims.sub ?? claims.name ?? "unknown");
  } catch {
    return "unknown";
  }
}
