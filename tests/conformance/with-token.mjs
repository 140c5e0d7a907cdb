// Owns the one thing that the suite does not do: every request to our server has a token. Loaded into the suite's process
// before it; adds the header to requests to that origin and changes nothing else, so that nothing stands between the two.
import { subscribe } from 'node:diagnostics_channel';

const { CONFORMANCE_ORIGIN: origin, CONFORMANCE_TOKEN: token } = process.env;

subscribe('undici:request:create', ({ request }) => {
  if (request.origin === origin) request.addHeader('authorization', `Bearer ${token}`);
});
