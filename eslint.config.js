import js from '@eslint/js';
import tseslint from 'typescript-eslint';

export default tseslint.config(
  { ignores: ['dist/', 'build*/', 'node_modules/', '.tap/'] },
  js.configs.recommended,
  ...tseslint.configs.recommended,
  {
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', caughtErrorsIgnorePattern: '^_' },
      ],
      eqeqeq: 'error',
      'no-restricted-exports': ['error', { restrictDefaultExports: { direct: true } }],
    },
  },
  {
    // Kernel, drivers and devices run on any host: no node: module and no Buffer below the hypercall table.
    files: ['src/kernel/**/*.ts', 'src/fs/**/*.ts', 'src/blockdev/**/*.ts'],
    ignores: ['src/kernel/rumpuser/node.ts', 'src/kernel/rumpuser/node/**'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              group: ['node:*', 'koffi', 'pino', 'yargs', 'fuse-native'],
              message: 'Go through the hypercall table (src/kernel/rumpuser).',
            },
          ],
        },
      ],
      'no-restricted-globals': [
        'error',
        'Buffer',
        'process',
        'setTimeout',
        'setInterval',
        'setImmediate',
        'performance',
      ],
    },
  },
  {
    // Lines that a reader need not scroll for.
    files: ['src/**', 'packaging/**', 'bin/**', '*.js', '*.cjs'],
    rules: { 'max-len': ['error', { code: 120, ignoreUrls: true, ignoreRegExpLiterals: true }] },
  },
  {
    // In tests also texts: commands, patterns and what is expected stand in one line.
    files: ['test/**', 'testing/**', 'fuzz/**', 'bench/**'],
    rules: {
      'max-len': [
        'error',
        { code: 120, ignoreUrls: true, ignoreRegExpLiterals: true, ignoreStrings: true, ignoreTemplateLiterals: true },
      ],
    },
  },
  {
    files: ['**/*.{js,mjs,cjs}', 'bin/*'],
    languageOptions: {
      globals: {
        process: 'readonly',
        console: 'readonly',
        URL: 'readonly',
        Buffer: 'readonly',
        performance: 'readonly',
        setTimeout: 'readonly',
        clearTimeout: 'readonly',
        module: 'writable',
      },
    },
  },
  { files: ['eslint.config.js'], rules: { 'no-restricted-exports': 'off' } },
);
