// Style sheets as text: build.mjs minifies them into the bundle.
declare module '*.css' {
  const text: string;
  // eslint-disable-next-line no-restricted-syntax -- what an import of a style sheet is
  export default text;
}
